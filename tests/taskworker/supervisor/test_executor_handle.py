"""An executor process that does not listen, or says nothing any more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from multiprocessing import get_context
from uuid import uuid4

import pytest

from taskcore.domain.tasks import Claimed, Lease
from taskcore.leasing.executor_exits import Kind
from taskcore.plugins.cancellation import Cause
from taskworker.supervisor.attempt_table import Board
from taskworker.supervisor.executor_handle import START_S, Child
from taskworker.supervisor.executor_process import AskPause, Fence, Interrupt, Report, Stop
from taskworker.supervisor.silence import LOOK_S, Silence

LEASE_S = 30.0
#: More than any pipe has room for.
MANY = 20_000


@pytest.fixture
def child() -> Iterator[Child]:
    """A process that never reads what it is told."""
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=True)
    process = context.Process(target=time.sleep, args=(600,))
    process.start()
    yield Child(process, ours, Board(2), worker_id=1, incarnation=1)
    process.kill()
    process.join()
    ours.close()
    theirs.close()


def reported() -> Report:
    return Report(time.monotonic(), frozenset(), 0)


def test_a_process_that_did_not_listen_froze_its_supervisor_too(child: Child) -> None:
    for _ in range(MANY):
        child.order(Interrupt(7, 1, Cause.CANCEL))
        child.order(AskPause(8, 1))

    assert child.killed_as is None
    assert list(child.told) == [(7, 1)]


@pytest.mark.parametrize("order", [Fence(True), Stop(25)])
def test_a_process_that_cannot_be_told_to_stop_is_killed(child: Child, order: Fence | Stop) -> None:
    for _ in range(MANY):
        child.order(AskPause(8, 1))

    child.order(order)

    child.process.join()
    assert child.killed_as is Kind.FROZEN


def test_a_frozen_process_was_never_noticed(child: Child) -> None:
    child.report = reported()

    assert not child.is_frozen(LEASE_S)
    child.silence = Silence(LEASE_S + 1)
    assert child.is_frozen(LEASE_S)


def test_a_process_that_starts_slowly_is_not_frozen(child: Child) -> None:
    child.silence = Silence(START_S - 1)

    assert not child.is_frozen(LEASE_S)


def test_in_a_silent_process_who_is_late_may_be_held_up_by_another(child: Child) -> None:
    writer = child.board.writer()
    child.silence = Silence(5.0)

    writer.place(Claimed(Lease(7, 1, uuid4()), "t", "noop", "default", {}, 0, 4, 0.0), 1.0, in_process=False)
    assert not child.hides_who_is_stuck
    writer.place(Claimed(Lease(8, 1, uuid4()), "t", "noop", "default", {}, 0, 4, 0.0), None, in_process=False)

    assert child.hides_who_is_stuck


def test_a_supervisor_that_was_stopped_itself_has_not_heard_silence() -> None:
    silence = Silence()
    silence.listen(100.0, is_broken=True)

    silence.listen(100.1, is_broken=False)
    silence.listen(500.0, is_broken=False)

    assert silence.lasted_s == pytest.approx(0.1 + LOOK_S)


def test_silence_ends_with_what_is_heard() -> None:
    silence = Silence()
    for now in (100.0, 100.4, 100.8):
        silence.listen(now, is_broken=False)
    assert silence.lasted_s == pytest.approx(0.8)

    silence.listen(101.0, is_broken=True)

    assert silence.lasted_s == 0.0
