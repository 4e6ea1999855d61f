"""The executor: what a plugin does decides the result of its attempt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from harness.span_recorder import RaisingProcessor
from taskcore.domain.outcomes import AttemptOutcome
from taskcore.domain.states import Status
from taskcore.observability.tracing.provider import Tracing
from taskcore.plugins import (
    Interrupted,
    RetryAfter,
    TaskContext,
)
from taskcore.plugins.interrupts import InterruptCause
from taskcore.settings import Settings
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskcore.execution.executor_harness import ExecutorHarness, NumberParameters


def test_plugin_gets_typed_parameters_and_task_gets_its_result(harness: ExecutorHarness) -> None:
    row = harness.run(lambda ctx, params: {"number": params.number, "attempt": ctx.attempt}, parameters={"number": 5})

    assert (row.status, row.result) == (Status.SUCCEEDED, {"number": 5, "attempt": 1})


def test_invalid_parameters_fail_without_retry(harness: ExecutorHarness) -> None:
    row = harness.run(lambda ctx, params: None, parameters={"number": "five"})

    assert (row.status, row.reason) == (Status.FAILED, "invalid_parameters")
    assert "number" in row.error


def test_exception_is_retried_and_its_traceback_stored(harness: ExecutorHarness) -> None:
    def fail(ctx: TaskContext, params: NumberParameters) -> None:
        raise ValueError("no luck")

    row = harness.run(fail)

    assert (row.status, row.failures) == (Status.RETRYING, 1)
    assert row.error.startswith("ValueError: no luck\n\nTraceback (most recent call last):\n")
    assert "in fail" in row.error
    assert "run_plugin.py" not in row.error


def test_last_attempt_fails_the_task(harness: ExecutorHarness) -> None:
    def fail(ctx: TaskContext, params: NumberParameters) -> None:
        raise ValueError("no\0 luck \ud800")

    row = harness.run(fail, max_attempts=1)

    assert (row.status, row.reason, row.failures) == (Status.FAILED, "attempts_exhausted", 1)
    assert "no\N{REPLACEMENT CHARACTER} luck ?" in row.error


def test_retry_after_counts_as_a_failure(harness: ExecutorHarness) -> None:
    row = harness.run(lambda ctx, params: RetryAfter(timedelta(minutes=3)), max_attempts=1)

    assert (row.status, row.reason) == (Status.FAILED, "attempts_exhausted")


def test_result_is_cleaned_of_what_json_cannot_represent(harness: ExecutorHarness) -> None:
    row = harness.run(lambda ctx, params: {"nul": "a\0b", "nan": float("nan"), "lone": "\ud800"})

    assert row.status == Status.SUCCEEDED
    assert row.result == {"nul": "a\N{REPLACEMENT CHARACTER}b", "nan": None, "lone": "?"}


def test_result_of_a_released_task_is_refused(harness: ExecutorHarness) -> None:
    harness.plugin.behaviour = lambda ctx, params: "late"  # type: ignore[attr-defined]
    claimed = harness.claim()
    finished = harness.run_claimed(claimed)
    harness.executor.release([claimed])

    harness.executor.settle([finished])

    assert harness.db.status(claimed.lease.task_id) == Status.QUEUED
    assert harness.db.history(claimed.lease.task_id) == ["queued", "running", "queued"]


def interrupting(harness: ExecutorHarness, cause: InterruptCause) -> Callable[[TaskContext, NumberParameters], object]:
    """Return the behaviour of a plugin that ignores its interrupt."""

    def behaviour(ctx: TaskContext, params: NumberParameters) -> object:
        harness.executor.running.interrupt(ctx.task_id, ctx.attempt, cause)
        try:
            ctx.wait(60)
        except Interrupted:
            return "finished all the same"
        return "not interrupted"

    return behaviour


def test_result_after_a_cancel_is_ignored(harness: ExecutorHarness) -> None:
    row = harness.run(interrupting(harness, InterruptCause.CANCEL))

    assert (row.status, row.result, row.failures) == (Status.CANCELLED, None, 0)


def test_result_after_a_timeout_is_a_failure_and_retried(harness: ExecutorHarness) -> None:
    row = harness.run(interrupting(harness, InterruptCause.TIMEOUT), timeout_s=30)

    assert (row.status, row.failures, row.error) == (Status.RETRYING, 1, "took longer than its timeout of 30 s")
    assert harness.db.sql("SELECT outcome FROM task_attempt")[0].outcome == AttemptOutcome.TIMED_OUT


def test_last_timeout_fails_the_task(harness: ExecutorHarness) -> None:
    row = harness.run(interrupting(harness, InterruptCause.TIMEOUT), timeout_s=30, max_attempts=1)

    assert (row.status, row.reason) == (Status.FAILED, "timed_out")


def test_shutdown_releases_the_attempt_at_no_charge(harness: ExecutorHarness) -> None:
    row = harness.run(interrupting(harness, InterruptCause.SHUTDOWN))

    assert (row.status, row.failures, row.crashes, row.worker_losses) == (Status.QUEUED, 0, 0, 0)


def test_fenced_attempt_has_no_result(harness: ExecutorHarness) -> None:
    harness.plugin.behaviour = interrupting(harness, InterruptCause.FENCE)  # type: ignore[attr-defined]

    assert harness.executor.run(harness.claim()) is None


def test_timeout_ends_a_plugin_that_never_checks(harness: ExecutorHarness) -> None:
    def compute(ctx: TaskContext, params: NumberParameters) -> object:
        while True:
            pass

    assert harness.run(compute, timeout_s=0.1, max_attempts=1).reason == "timed_out"


def test_plugin_finds_the_checkpoint_of_an_earlier_attempt(harness: ExecutorHarness) -> None:
    claimed = harness.claim()._replace(checkpoint={"page": 3})
    harness.plugin.behaviour = lambda ctx, params: ctx.checkpoint  # type: ignore[attr-defined]

    assert harness.run_claimed(claimed).result.result_json == '{"page":3}'


@pytest.mark.parametrize("at", ["start", "end"])
def test_failing_span_processor_does_not_harm_the_task(db: DatabaseHarness, at: str) -> None:
    harness = ExecutorHarness(db, Tracing.start(Settings(), "tests", extra_processors=[RaisingProcessor(at)]))
    harness.plugin.behaviour = lambda ctx, params: 5  # type: ignore[attr-defined]
    (task_id,) = db.submit(new_task(type="scripted"))
    db.sql("UPDATE task SET trace_context = :text", text="00-" + "a" * 32 + "-" + "1" * 16 + "-01")

    (claimed,) = harness.executor.claim(uuid4(), [task_id])
    harness.executor.settle([harness.run_claimed(claimed)])

    assert db.status(task_id) == Status.SUCCEEDED
    assert db.sql("SELECT result FROM task")[0].result == 5
