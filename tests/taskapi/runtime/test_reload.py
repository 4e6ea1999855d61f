"""Requests that need the same thing read again wait for each other, and not for longer than for the database."""

from __future__ import annotations

import asyncio
import time

import pytest

from taskapi.runtime.reload import Reload


class Source:
    """Something to read, which lets a read end when the test opens the gate."""

    def __init__(self) -> None:
        self.reads = 0
        self.gate = asyncio.Event()

    async def read(self) -> None:
        self.reads += 1
        await self.gate.wait()


async def test_requests_that_come_during_a_read_share_the_next_one() -> None:
    source = Source()
    reload = Reload(source.read)
    first = asyncio.create_task(reload.since(time.monotonic()))
    await asyncio.sleep(0)
    later = [asyncio.create_task(reload.since(time.monotonic())) for _ in range(10)]
    await asyncio.sleep(0)

    source.gate.set()
    await asyncio.gather(first, *later)

    assert source.reads == 2


async def test_requests_behind_a_silent_database_give_up_together() -> None:
    source = Source()
    reload = Reload(source.read, timeout_s=0.1)

    outcomes = await asyncio.gather(*(reload.since(time.monotonic()) for _ in range(10)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [TimeoutError] * 10
    assert source.reads == 1


async def test_a_read_that_failed_is_repeated() -> None:
    source = Source()
    reload = Reload(source.read, timeout_s=0.1)
    with pytest.raises(TimeoutError):
        await reload.since(time.monotonic())

    source.gate.set()
    await reload.since(time.monotonic())

    assert source.reads == 2
