"""What becomes of the attempts of a process that is gone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from taskcore.domain.outcomes import MAX_CRASHES, MAX_WORKER_LOSSES, AttemptOutcome, AttemptResult, ChargedAs
from taskcore.domain.states import Status
from taskcore.leasing.executor_exits import ExecutorExit, ExitKind, describe_exit, plan_results
from taskcore.plugins import Plugins, build_plugins
from taskworker.types.noop import Noop

PLUGINS: Plugins = build_plugins([Noop])


def held(task_id: int, **fields: Any) -> Any:
    known = {"attempt": 1, "lease_token": uuid4(), "type": "noop", "failures": 0, "crashes": 0, "worker_losses": 0}
    return SimpleNamespace(id=task_id, max_attempts=4, status="running", **{**known, **fields})


def verdict(death: ExecutorExit, row: Any) -> AttemptResult:
    (finished,) = plan_results(death, [row], PLUGINS)
    return finished.result


def crash(*ran: tuple[int, int]) -> ExecutorExit:
    return ExecutorExit(1, ExitKind.CRASHED, -11, frozenset(ran))


def test_a_crash_counts_against_the_task_that_ran_alone() -> None:
    found = verdict(crash((7, 1)), held(7))

    assert (found.status, found.outcome, found.charged_as) == (Status.QUEUED, AttemptOutcome.CRASHED, ChargedAs.CRASH)
    assert found.error == "its process was ended by signal 11 (SIGSEGV)"


def test_the_third_crash_is_a_loop() -> None:
    found = verdict(crash((7, 1)), held(7, crashes=MAX_CRASHES - 1))

    assert (found.status, found.reason) == (Status.FAILED, "crash_loop")


def test_tasks_that_crashed_together_are_not_counted_and_run_alone_next() -> None:
    death = crash((7, 1), (8, 1))

    for found in (verdict(death, held(7)), verdict(death, held(8))):
        assert (found.status, found.charged_as, found.isolated) == (Status.QUEUED, ChargedAs.NOTHING, True)


def test_a_task_that_had_not_started_has_nothing_to_do_with_the_crash() -> None:
    found = verdict(crash((7, 1)), held(9))

    assert (found.status, found.charged_as, found.isolated) == (Status.QUEUED, ChargedAs.NOTHING, False)


def test_only_the_task_that_would_not_stop_has_timed_out() -> None:
    death = ExecutorExit(1, ExitKind.STUCK, -9, frozenset({(7, 1), (8, 1)}), timed_out=frozenset({(7, 1)}))

    late, beside = verdict(death, held(7)), verdict(death, held(8))

    assert (late.status, late.outcome, late.charged_as) == (
        Status.RETRYING,
        AttemptOutcome.TIMED_OUT,
        ChargedAs.FAILURE,
    )
    assert (beside.status, beside.charged_as, beside.isolated) == (Status.QUEUED, ChargedAs.NOTHING, False)


def test_a_timeout_of_the_last_attempt_is_the_end() -> None:
    death = ExecutorExit(1, ExitKind.STUCK, -9, frozenset({(7, 1)}), timed_out=frozenset({(7, 1)}))

    found = verdict(death, held(7, failures=3))

    assert (found.status, found.reason) == (Status.FAILED, "timed_out")


def test_nobody_is_blamed_for_a_process_that_froze_and_all_that_ran_in_it_runs_alone_next() -> None:
    frozen = ExecutorExit(1, ExitKind.UNRESPONSIVE, -9, frozenset({(7, 1), (8, 1)}))

    for found in (verdict(frozen, held(7)), verdict(frozen, held(8))):
        assert (found.status, found.charged_as, found.isolated) == (Status.QUEUED, ChargedAs.NOTHING, True)
    assert verdict(frozen, held(9)).isolated is False


def test_a_fenced_worker_loses_its_tasks_and_too_many_losses_are_the_end() -> None:
    fenced = ExecutorExit(1, ExitKind.FENCED, -9, frozenset({(7, 1)}))

    assert verdict(fenced, held(7)).charged_as == ChargedAs.WORKER_LOSS
    assert verdict(fenced, held(7, worker_losses=MAX_WORKER_LOSSES - 1)).reason == "worker_lost"


def test_what_a_draining_worker_held_costs_nothing() -> None:
    found = verdict(ExecutorExit(1, ExitKind.DRAINED, -9, frozenset({(7, 1)})), held(7))

    assert (found.status, found.outcome, found.charged_as) == (
        Status.QUEUED,
        AttemptOutcome.RELEASED,
        ChargedAs.NOTHING,
    )


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [(-9, "signal 9 (SIGKILL)"), (3, "status 3"), (-60, "signal 60"), (None, "status None")],
)
def test_an_exit_is_told_in_words(exit_code: int | None, words: str) -> None:
    assert words in describe_exit(exit_code)
