"""An executor process that reads no commands, or sends no reports."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection

import pytest

from harness.processes import is_alive
from harness.waiting import eventually
from taskcore.leasing.executor_exits import ExitKind
from taskcore.plugins.interrupts import InterruptCause
from taskcore.settings import Settings
from taskworker.supervisor.attempt_table import AttemptTable
from taskworker.supervisor.executor_handle import MAX_OBSERVATION_GAP_S, ExecutorHandle, SilenceTimer
from taskworker.supervisor.executor_pool import ExecutorPool
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


def lead_a_group(pipe: Connection, *, then_exit: bool) -> None:
    """Do as an executor process does whose plugin starts another one."""
    os.setpgid(0, 0)
    pipe.send(subprocess.Popen(["sleep", "600"]).pid)
    time.sleep(0 if then_exit else 600)


@pytest.mark.parametrize("dies_by_itself", [True, False])
def test_what_an_executor_has_started_ends_with_it(dies_by_itself: bool) -> None:
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=True)
    process = context.Process(target=lead_a_group, args=(theirs,), kwargs={"then_exit": dies_by_itself})
    process.start()
    pool = ExecutorPool(Settings(worker={"processes": 1}), lambda *_: (process, ours))  # type: ignore[arg-type]
    pool.respawn(1, [])
    started = ours.recv()

    if dies_by_itself:
        process.join()
        pool.reap()
    else:
        pool.kill_all(ExitKind.STUCK)

    eventually(lambda: not is_alive(started))
    process.join()


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
