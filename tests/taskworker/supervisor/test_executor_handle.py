"""An executor process that reads no commands, or sends no reports."""

from __future__ import annotations

import time
from collections.abc import Iterator
from multiprocessing import get_context

import pytest

from taskcore.leasing.executor_exits import ExitKind
from taskcore.plugins.interrupts import InterruptCause
from taskworker.supervisor.attempt_table import AttemptTable
from taskworker.supervisor.executor_handle import MAX_OBSERVATION_GAP_S, ExecutorHandle, SilenceTimer
from taskworker.supervisor.protocol import Interrupt, RequestPause, SetFence, Stop

#: More commands than fit in any pipe.
MANY = 20_000


@pytest.fixture
def handle() -> Iterator[ExecutorHandle]:
    """A process that never reads its pipe."""
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=True)
    process = context.Process(target=time.sleep, args=(600,))
    process.start()
    yield ExecutorHandle(process, ours, AttemptTable(2), worker_id=1, incarnation=1)
    process.kill()
    process.join()
    ours.close()
    theirs.close()


def test_a_process_that_does_not_read_does_not_block_its_supervisor(handle: ExecutorHandle) -> None:
    for _ in range(MANY):
        handle.send(Interrupt((7, 1), InterruptCause.CANCEL))
        handle.send(RequestPause((8, 1)))

    assert handle.kill_kind is None
    assert list(handle.interrupted_at) == [(7, 1)]


@pytest.mark.parametrize("command", [SetFence(True), Stop(25)])
def test_a_process_that_cannot_be_asked_to_stop_is_killed(handle: ExecutorHandle, command: SetFence | Stop) -> None:
    for _ in range(MANY):
        handle.send(RequestPause((8, 1)))

    handle.send(command)

    handle.process.join()
    assert handle.kill_kind is ExitKind.UNRESPONSIVE


def test_the_first_reason_for_a_kill_stands(handle: ExecutorHandle) -> None:
    handle.kill(ExitKind.STUCK, {(7, 1)})
    handle.kill(ExitKind.FENCED)

    handle.process.join()
    exit_ = handle.exit()
    assert (exit_.kind, exit_.exit_code, exit_.timed_out) == (ExitKind.STUCK, -9, frozenset({(7, 1)}))


def test_a_supervisor_that_was_stopped_itself_has_not_observed_silence() -> None:
    silence = SilenceTimer()
    silence.observe(100.0, heard=True)

    silence.observe(100.1, heard=False)
    silence.observe(500.0, heard=False)

    assert silence.elapsed_s == pytest.approx(0.1 + MAX_OBSERVATION_GAP_S)


def test_a_report_ends_the_silence() -> None:
    silence = SilenceTimer()
    for now in (100.0, 100.4, 100.8):
        silence.observe(now, heard=False)
    assert silence.elapsed_s == pytest.approx(0.8)

    silence.observe(101.0, heard=True)

    assert silence.elapsed_s == 0.0
