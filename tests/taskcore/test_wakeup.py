"""How a loop sleeps between its rounds."""

from __future__ import annotations

import asyncio

import pytest

from taskcore.wakeup import Wakeup

LONG_S = 600.0


async def test_wake_ends_a_sleep() -> None:
    wakeup = Wakeup()
    sleeping = asyncio.create_task(wakeup.wait(LONG_S))
    await asyncio.sleep(0)
    assert not sleeping.done()

    wakeup.wake()

    await sleeping


async def test_wake_during_work_ends_the_next_sleep_and_no_later_one() -> None:
    wakeup = Wakeup()
    wakeup.wake()

    await wakeup.wait(LONG_S)

    later = asyncio.create_task(wakeup.wait(LONG_S))
    await asyncio.sleep(0)
    assert not later.done()
    later.cancel()


async def test_sleep_ends_after_its_time() -> None:
    await Wakeup().wait(0.0)


async def test_cancellation_is_not_lost_when_it_coincides_with_a_wake_up() -> None:
    wakeup = Wakeup()
    sleeping = asyncio.create_task(wakeup.wait(LONG_S))
    await asyncio.sleep(0)

    wakeup.wake()
    sleeping.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sleeping
