"""An executor process that does not listen, or says nothing any more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from multiprocessing import get_context
from uuid import uuid4

import pytest

from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.leasing.executor_exits import ExitKind
from taskcore.plugins.cancellation import InterruptCause
from taskworker.supervisor.attempt_table import AttemptTable
from taskworker.supervisor.executor_handle import STARTUP_TIMEOUT_S, ExecutorHandle
from taskworker.supervisor.executor_process import Interrupt, Report, RequestPause, SetFence, Stop
from taskworker.supervisor.silence import MAX_OBSERVATION_GAP_S, SilenceTimer

LEASE_S = 30.0
#: More than any pipe has room for.
MANY = 20_000


@pytest.fixture
def child() -> Iterator[ExecutorHandle]:
    """A process that never reads what it is told."""
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=True)
    process = context.Process(target=time.sleep, args=(600,))
    process.start()
    yield ExecutorHandle(process, ours, AttemptTable(2), worker_id=1, incarnation=1)
    process.kill()
    process.join()
    ours.close()
    theirs.close()


def reported() -> Report:
    return Report(time.monotonic(), frozenset(), 0)


def test_a_process_that_did_not_listen_froze_its_supervisor_too(child: ExecutorHandle) -> None:
    for _ in range(MANY):
        child.send(Interrupt(7, 1, InterruptCause.CANCEL))
        child.send(RequestPause(8, 1))

    assert child.kill_kind is None
    assert list(child.interrupted_at) == [(7, 1)]


@pytest.mark.parametrize("order", [SetFence(True), Stop(25)])
def test_a_process_that_cannot_be_told_to_stop_is_killed(child: ExecutorHandle, order: SetFence | Stop) -> None:
    for _ in range(MANY):
        child.send(RequestPause(8, 1))

    child.send(order)

    child.process.join()
    assert child.kill_kind is ExitKind.UNRESPONSIVE


def test_a_frozen_process_was_never_noticed(child: ExecutorHandle) -> None:
    child.report = reported()

    assert not child.is_unresponsive(LEASE_S)
    child.silence = SilenceTimer(LEASE_S + 1)
    assert child.is_unresponsive(LEASE_S)


def test_a_process_that_starts_slowly_is_not_frozen(child: ExecutorHandle) -> None:
    child.silence = SilenceTimer(STARTUP_TIMEOUT_S - 1)

    assert not child.is_unresponsive(LEASE_S)


def test_in_a_silent_process_who_is_late_may_be_held_up_by_another(child: ExecutorHandle) -> None:
    writer = child.attempt_table.writer()
    child.silence = SilenceTimer(5.0)

    writer.place(ClaimedTask(Lease(7, 1, uuid4()), "t", "noop", "default", {}, 0, 4, 0.0), 1.0, in_process=False)
    assert not child.stuck_is_ambiguous
    writer.place(ClaimedTask(Lease(8, 1, uuid4()), "t", "noop", "default", {}, 0, 4, 0.0), None, in_process=False)

    assert child.stuck_is_ambiguous


def test_a_supervisor_that_was_stopped_itself_has_not_heard_silence() -> None:
    silence = SilenceTimer()
    silence.observe(100.0, heard=True)

    silence.observe(100.1, heard=False)
    silence.observe(500.0, heard=False)

    assert silence.elapsed_s == pytest.approx(0.1 + MAX_OBSERVATION_GAP_S)


def test_silence_ends_with_what_is_heard() -> None:
    silence = SilenceTimer()
    for now in (100.0, 100.4, 100.8):
        silence.observe(now, heard=False)
    assert silence.elapsed_s == pytest.approx(0.8)

    silence.observe(101.0, heard=True)

    assert silence.elapsed_s == 0.0
