"""How the attempts of a dead process end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from taskcore.db.workers.leases import HeldAttempt
from taskcore.domain.outcomes import MAX_CRASHES, MAX_WORKER_LOSSES, AttemptOutcome, AttemptResult, ChargedAs
from taskcore.domain.states import Status
from taskcore.domain.tasks import Lease
from taskcore.leasing.executor_exits import ExecutorExit, ExitKind, plan_results
from taskcore.plugins import Plugins, build_plugins
from taskworker.types.noop import Noop

PLUGINS: Plugins = build_plugins([Noop])


def held(task_id: int, **counters: Any) -> HeldAttempt:
    attempt = HeldAttempt(Lease(task_id, 1, uuid4()), "noop", Status.RUNNING, executor=1, max_attempts=4)
    return replace(attempt, **counters)


def result(exit_: ExecutorExit, attempt: HeldAttempt) -> AttemptResult:
    (finished,) = plan_results(exit_, [attempt], PLUGINS)
    return finished.result


def crash(*running: tuple[int, int]) -> ExecutorExit:
    return ExecutorExit(1, ExitKind.CRASHED, -11, frozenset(running))


def test_a_crash_counts_against_the_task_that_ran_alone() -> None:
    found = result(crash((7, 1)), held(7))

    assert (found.status, found.outcome, found.charged_as) == (Status.QUEUED, AttemptOutcome.CRASHED, ChargedAs.CRASH)
    assert found.error == "its process was killed by signal 11 (SIGSEGV)"


def test_the_third_crash_is_a_loop() -> None:
    found = result(crash((7, 1)), held(7, crashes=MAX_CRASHES - 1))

    assert (found.status, found.reason) == (Status.FAILED, "crash_loop")


def test_tasks_that_crashed_together_are_not_charged_and_run_isolated_next() -> None:
    exit_ = crash((7, 1), (8, 1))

    for found in (result(exit_, held(7)), result(exit_, held(8))):
        assert (found.status, found.charged_as, found.isolated) == (Status.QUEUED, ChargedAs.NOTHING, True)


def test_a_task_that_had_not_started_is_not_charged_with_the_crash() -> None:
    found = result(crash((7, 1)), held(9))

    assert (found.status, found.charged_as, found.isolated) == (Status.QUEUED, ChargedAs.NOTHING, False)


def test_only_the_task_that_did_not_stop_has_timed_out() -> None:
    exit_ = ExecutorExit(1, ExitKind.STUCK, -9, frozenset({(7, 1), (8, 1)}), timed_out=frozenset({(7, 1)}))

    late, beside = result(exit_, held(7)), result(exit_, held(8))

    assert (late.status, late.outcome, late.charged_as) == (
        Status.RETRYING,
        AttemptOutcome.TIMED_OUT,
        ChargedAs.FAILURE,
    )
    assert (beside.status, beside.charged_as, beside.isolated) == (Status.QUEUED, ChargedAs.NOTHING, False)


def test_a_timeout_of_the_last_attempt_fails_the_task() -> None:
    exit_ = ExecutorExit(1, ExitKind.STUCK, -9, frozenset({(7, 1)}), timed_out=frozenset({(7, 1)}))

    found = result(exit_, held(7, failures=3))

    assert (found.status, found.reason) == (Status.FAILED, "timed_out")


def test_no_task_is_charged_for_an_unresponsive_process_and_all_run_isolated_next() -> None:
    frozen = ExecutorExit(1, ExitKind.UNRESPONSIVE, -9, frozenset({(7, 1), (8, 1)}))

    for found in (result(frozen, held(7)), result(frozen, held(8))):
        assert (found.status, found.charged_as, found.isolated) == (Status.QUEUED, ChargedAs.NOTHING, True)
    assert result(frozen, held(9)).isolated is False


def test_a_fenced_worker_loses_its_tasks_and_too_many_losses_fail_a_task() -> None:
    fenced = ExecutorExit(1, ExitKind.FENCED, -9, frozenset({(7, 1)}))

    assert result(fenced, held(7)).charged_as == ChargedAs.WORKER_LOSS
    assert result(fenced, held(7, worker_losses=MAX_WORKER_LOSSES - 1)).reason == "worker_lost"


def test_tasks_of_a_draining_worker_are_not_charged() -> None:
    found = result(ExecutorExit(1, ExitKind.DRAINED, -9, frozenset({(7, 1)})), held(7))

    assert (found.status, found.outcome, found.charged_as) == (
        Status.QUEUED,
        AttemptOutcome.RELEASED,
        ChargedAs.NOTHING,
    )
