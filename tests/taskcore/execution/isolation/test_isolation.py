"""Attempts in processes of their own: whatever they do, there is a result, and no process is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from harness.processes import is_alive
from harness.waiting import eventually
from taskcore.domain.outcomes import AttemptOutcome, Reason
from taskcore.domain.states import Status
from taskcore.plugins.interrupts import InterruptCause
from tests.taskcore.execution.isolation.isolation_harness import IsolationHarness, MakeHarness


def all_exited(pids: list[int]) -> bool:
    return not any(map(is_alive, pids))


def test_each_attempt_runs_in_a_process_of_its_own(harness: IsolationHarness) -> None:
    attempts = [harness.run("answer", checkpoint={"page": 3}) for _ in range(2)]

    results = [str(one.result_json) for one in attempts]
    assert {one.status for one in attempts} == {Status.SUCCEEDED}
    assert results[0] != results[1]
    assert all('"checkpoint":{"page":3}' in result and str(os.getpid()) not in result for result in results)


def test_isolated_task_gets_its_own_process_whatever_its_type(harness: IsolationHarness) -> None:
    shared, isolated = (harness.run("answer", type="in_thread", isolated=isolated) for isolated in (False, True))

    assert f'"pid":{os.getpid()}' in str(shared.result_json)
    assert f'"pid":{os.getpid()}' not in str(isolated.result_json)


def test_exception_that_cannot_be_described_fails_the_attempt(harness: IsolationHarness) -> None:
    result = harness.run("raise_undescribable")

    assert (result.status, result.outcome, result.is_undescribed) == (Status.RETRYING, AttemptOutcome.FAILED, True)
    assert str(result.error).startswith("SyntaxError: bad template")


def test_services_of_the_executor_serve_the_process(harness: IsolationHarness) -> None:
    result = harness.run("ask")

    assert result.result_json == '{"submitted":12,"got":{"id":12}}'
    assert harness.services.lines == [("warning", "a line", {"number": 1, "path": "PosixPath('/there')"})]
    submitted = {"name": "child", "type": "noop", "parameters": {}, "priority": 3, "idempotency_key": "mine"}
    assert harness.services.calls == [{"done": 0.5}, {"page": 7}, submitted]


def test_error_of_a_service_is_raised_in_the_plugin(harness: IsolationHarness) -> None:
    result = harness.run("submit_invalid_task")

    assert result.status == Status.RETRYING
    assert "no such type" in str(result.error)


def test_all_log_lines_arrive_before_the_result(harness: IsolationHarness) -> None:
    result = harness.run("talk")

    assert result.result_json == '"talked"'
    assert [fields["number"] for _, _, fields in harness.services.lines] == list(range(5_000))


def test_invalid_parameters_fail_the_attempt(harness: IsolationHarness) -> None:
    result = harness.run("answer", parameters={"number": 1})

    assert result.reason == Reason.INVALID_PARAMETERS


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("exit_at_once", "its process exited with status 3"),
        ("break_memory", "its process was killed by signal 11 (SIGSEGV)"),
        ("eat_memory", "its process ran out of memory"),
    ],
)
def test_dead_process_is_a_crash_with_its_cause(harness: IsolationHarness, behaviour: str, error: str) -> None:
    first, last = harness.run(behaviour), harness.run(behaviour, crashes=2)

    assert (first.status, first.outcome, first.error) == (Status.QUEUED, AttemptOutcome.CRASHED, error)
    assert (last.status, last.reason) == (Status.FAILED, Reason.CRASH_LOOP)


def test_a_type_without_a_limit_has_that_of_the_worker(harness: IsolationHarness) -> None:
    """Otherwise a kubelet would kill the whole container, with all other tasks."""
    result = harness.run("eat_memory", type="without_limit")

    assert (result.outcome, result.error) == (AttemptOutcome.CRASHED, "its process ran out of memory")


@pytest.mark.parametrize("cause", [InterruptCause.CANCEL, InterruptCause.TIMEOUT, InterruptCause.SHUTDOWN])
def test_interrupt_ends_a_system_call_and_leaves_time_for_a_checkpoint(
    harness: IsolationHarness, cause: InterruptCause
) -> None:
    harness.services.is_unavailable = False
    attempt = harness.start("sleep_and_clean_up", timeout_s=600)
    pids = attempt.pids()
    attempt.interrupt(cause)

    outcome = {
        InterruptCause.CANCEL: AttemptOutcome.CANCELLED,
        InterruptCause.TIMEOUT: AttemptOutcome.TIMED_OUT,
        InterruptCause.SHUTDOWN: AttemptOutcome.RELEASED,
    }
    assert attempt.result().outcome == outcome[cause]
    assert harness.services.calls == [{"interrupted_by": cause}]
    assert all_exited(pids)


def test_pause_request_reaches_the_process(harness: IsolationHarness) -> None:
    attempt = harness.start("wait_for_pause")
    attempt.pids()
    attempt.request_pause()

    assert attempt.result().outcome == AttemptOutcome.PAUSED


def test_sigterm_without_a_command_is_ignored(harness: IsolationHarness) -> None:
    assert harness.run("send_itself_sigterm").result_json == '"ignored"'


def test_process_group_that_ignores_sigterm_is_killed(make_harness: MakeHarness) -> None:
    attempt = make_harness(0.2).start("be_stubborn")
    pids = attempt.pids()
    attempt.interrupt(InterruptCause.CANCEL)

    assert attempt.result().status == Status.CANCELLED
    eventually(lambda: all_exited(pids))


def test_fence_kills_at_once(harness: IsolationHarness) -> None:
    attempt = harness.start("be_stubborn")
    pids = attempt.pids()
    attempt.interrupt(InterruptCause.FENCE)

    assert attempt.outcome() is None
    eventually(lambda: all_exited(pids))


def test_timeout_ends_a_loop_in_c(make_harness: MakeHarness) -> None:
    harness = make_harness(0.2)
    harness.run("answer")
    attempt = harness.start("compute_in_c", timeout_s=3, max_attempts=1)
    pids = attempt.pids()

    assert attempt.result().reason == Reason.TIMED_OUT
    assert all_exited(pids)


def test_children_left_behind_are_killed_although_they_hold_open_descriptors(harness: IsolationHarness) -> None:
    attempt = harness.start("leave_a_child")

    assert attempt.result().result_json == '"done"'
    eventually(lambda: all_exited(attempt.pids()))


def test_interrupt_during_startup_ends_the_attempt(harness: IsolationHarness) -> None:
    """Interrupts hit at every stage: created, starting, reading its parameters, running."""
    harness.run("answer")
    for number in range(40):
        attempt = harness.start("sleep")
        time.sleep(number / 2_000)
        eventually(partial(harness.executor.running.interrupt_all, InterruptCause.CANCEL), poll_s=0.001)

        assert attempt.result().status == Status.CANCELLED


def test_dead_fork_server_costs_no_crash_and_is_replaced(make_harness: MakeHarness) -> None:
    harness = make_harness(60)
    other = harness.start("be_stubborn")
    pids = other.pids()

    killing = harness.run("kill_the_forkserver")

    assert (killing.outcome, other.result().outcome) == (AttemptOutcome.LOST, AttemptOutcome.LOST)
    eventually(lambda: all_exited(pids))
    assert harness.run("answer").status == Status.SUCCEEDED


@pytest.mark.parametrize("kill", [os.kill, os.killpg])
def test_nothing_outlives_a_killed_executor(tmp_path: Path, kill: Callable[[int, int], None]) -> None:
    file = tmp_path / "pids"
    command = [sys.executable, "-m", "tests.taskcore.execution.isolation.isolated_executor", "be_stubborn", str(file)]
    executor = subprocess.Popen(command, process_group=0, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    pids = [int(word) for word in eventually(lambda: file.read_text() if file.exists() else "", poll_s=0.01).split()]
    forkserver = psutil.Process(pids[0]).ppid()

    kill(executor.pid, signal.SIGKILL)
    executor.wait()

    eventually(lambda: all_exited([forkserver, *pids]))


def test_close_leaves_no_process(make_harness: MakeHarness) -> None:
    harness = make_harness(60)
    attempt = harness.start("be_stubborn")
    pids = attempt.pids()
    harness.executor.running.interrupt_all(InterruptCause.SHUTDOWN)

    harness.executor.close()

    assert attempt.result().reason == Reason.WORKER_STOPPED
    eventually(lambda: all_exited(pids))
    assert harness.run("answer").reason == Reason.WORKER_STOPPED
