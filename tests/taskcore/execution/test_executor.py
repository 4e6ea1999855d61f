"""The executor: whatever a plugin does, its attempt gets a verdict."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from harness.span_recorder import RaisingProcessor
from taskcore.domain.outcomes import AttemptOutcome
from taskcore.domain.states import Status
from taskcore.domain.tasks import ClaimedTask, FinishedAttempt
from taskcore.execution.executor import Executor
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskcore.plugins import (
    Cancel,
    Fail,
    Interrupted,
    Parameters,
    Plugin,
    RetryAfter,
    RetryPolicy,
    TaskContext,
    build_plugins,
)
from taskcore.plugins.interrupts import InterruptCause
from taskcore.settings import Settings
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


class Anything(Parameters, frozen=True):
    number: int = 0


class Scripted(Plugin[Anything]):
    name = "scripted"
    retry = RetryPolicy(initial=timedelta(seconds=1), jitter=0)
    behave: Callable[[TaskContext, Anything], object]

    def run(self, ctx: TaskContext, params: Anything) -> object:
        return self.behave(ctx, params)


class Desk:
    """An executor with one scripted plugin, on the stage of the statements' tests."""

    def __init__(self, stage: DatabaseHarness, tracing: Tracing = NO_TRACING) -> None:
        self.stage = stage
        plugins = build_plugins([Scripted])
        self.plugin = plugins["scripted"]
        self.executor = Executor(stage.engine, plugins, Settings(), worker_id=1, incarnation=1, tracing=tracing)

    def claim(self, **fields: Any) -> ClaimedTask:
        (task_id,) = self.stage.submit(new_task(type="scripted", **fields))
        (claimed,) = self.executor.claim(uuid4(), [task_id])
        return claimed

    def perform(self, claimed: ClaimedTask) -> FinishedAttempt:
        finished = self.executor.run(claimed)
        assert finished is not None
        return finished

    def run(self, behave: Callable[[TaskContext, Anything], object], **fields: Any) -> Any:
        self.plugin.behave = behave  # type: ignore[attr-defined]
        claimed = self.claim(**fields)
        self.executor.settle([self.perform(claimed)])
        (row,) = self.stage.sql("SELECT * FROM task WHERE id = :id", id=claimed.lease.task_id)
        return row


@pytest.fixture
def desk(stage: DatabaseHarness) -> Desk:
    return Desk(stage)


def test_the_plugin_gets_its_typed_parameters_and_the_task_its_result(desk: Desk) -> None:
    row = desk.run(lambda ctx, params: {"number": params.number, "attempt": ctx.attempt}, parameters={"number": 5})

    assert (row.status, row.result) == (Status.SUCCEEDED, {"number": 5, "attempt": 1})


def test_parameters_that_do_not_fit_fail_for_good(desk: Desk) -> None:
    row = desk.run(lambda ctx, params: None, parameters={"number": "five"})

    assert (row.status, row.reason) == (Status.FAILED, "invalid_parameters")
    assert "number" in row.error


def test_an_exception_is_retried_and_its_text_kept(desk: Desk) -> None:
    def raise_it(ctx: TaskContext, params: Anything) -> None:
        raise ValueError("no luck")

    row = desk.run(raise_it)

    assert (row.status, row.failures) == (Status.RETRYING, 1)
    assert row.error.startswith("ValueError: no luck\n")
    assert "raise_it" in row.error


def test_the_last_attempt_fails_the_task(desk: Desk) -> None:
    def raise_it(ctx: TaskContext, params: Anything) -> None:
        raise ValueError("no\0 luck \ud800")

    row = desk.run(raise_it, max_attempts=1)

    assert (row.status, row.reason, row.failures) == (Status.FAILED, "attempts_exhausted", 1)
    assert "no\N{REPLACEMENT CHARACTER} luck ?" in row.error


def test_a_plugin_that_exits_fails_its_attempt_only(desk: Desk) -> None:
    assert desk.run(lambda ctx, params: sys.exit(3)).status == Status.RETRYING


@pytest.mark.parametrize(
    ("returned", "status", "reason"),
    [
        (Fail("never", reason="no_such_thing"), Status.FAILED, "no_such_thing"),
        (Cancel("enough"), Status.CANCELLED, "cancelled_by_plugin"),
        (RetryAfter(timedelta(minutes=3), "busy"), Status.RETRYING, None),
        (object(), Status.FAILED, "invalid_result"),
        ("x" * 10_000_000, Status.FAILED, "invalid_result"),
        pytest.param(10**5_000, Status.FAILED, "invalid_result", id="huge"),
        ({1: "one", "two": {3}}, Status.SUCCEEDED, None),
    ],
)
def test_each_outcome_has_its_status(desk: Desk, returned: object, status: Status, reason: str | None) -> None:
    row = desk.run(lambda ctx, params: returned)

    assert (row.status, row.reason) == (status, reason)


def test_retry_after_counts_as_a_failure_so_that_it_ends(desk: Desk) -> None:
    row = desk.run(lambda ctx, params: RetryAfter(timedelta(minutes=3)), max_attempts=1)

    assert (row.status, row.reason) == (Status.FAILED, "attempts_exhausted")


def test_what_json_lacks_is_cleaned_out_of_a_result(desk: Desk) -> None:
    row = desk.run(lambda ctx, params: {"nul": "a\0b", "nan": float("nan"), "lone": "\ud800"})

    assert row.status == Status.SUCCEEDED
    assert row.result == {"nul": "a\N{REPLACEMENT CHARACTER}b", "nan": None, "lone": "?"}


def test_a_result_that_cannot_be_stored_ends_its_own_task_only(desk: Desk) -> None:
    desk.plugin.behave = lambda ctx, params: {"n": 1}  # type: ignore[attr-defined]
    good, bad = desk.claim(), desk.claim()
    finished = desk.perform(bad)
    slipped = finished.result._replace(result_json='"\\u0000"')  # through the cleaning

    desk.executor.settle([desk.perform(good), finished._replace(result=slipped)])

    assert desk.stage.status(good.lease.task_id) == Status.SUCCEEDED
    (row,) = desk.stage.sql("SELECT status, reason FROM task WHERE id = :id", id=bad.lease.task_id)
    assert tuple(row) == (Status.FAILED, "invalid_result")


def test_the_late_result_of_a_task_that_was_given_back_is_refused(desk: Desk) -> None:
    desk.plugin.behave = lambda ctx, params: "late"  # type: ignore[attr-defined]
    claimed = desk.claim()
    finished = desk.perform(claimed)
    desk.executor.release([claimed])

    desk.executor.settle([finished])

    assert desk.stage.status(claimed.lease.task_id) == Status.QUEUED
    assert desk.stage.history(claimed.lease.task_id) == ["queued", "running", "queued"]


def interrupting(desk: Desk, cause: InterruptCause) -> Callable[[TaskContext, Anything], object]:
    """A plugin that is interrupted, and makes nothing of it."""

    def behave(ctx: TaskContext, params: Anything) -> object:
        desk.executor.running.interrupt(ctx.task_id, ctx.attempt, cause)
        try:
            ctx.wait(60)
        except Interrupted:
            return "done all the same"
        return "not interrupted"

    return behave


def test_a_result_that_comes_after_a_cancel_does_not_count(desk: Desk) -> None:
    row = desk.run(interrupting(desk, InterruptCause.CANCEL))

    assert (row.status, row.result, row.failures) == (Status.CANCELLED, None, 0)


def test_a_result_that_comes_after_the_timeout_is_a_failure_that_is_retried(desk: Desk) -> None:
    row = desk.run(interrupting(desk, InterruptCause.TIMEOUT), timeout_s=30)

    assert (row.status, row.failures, row.error) == (Status.RETRYING, 1, "took longer than its timeout of 30 s")
    assert desk.stage.sql("SELECT outcome FROM task_attempt")[0].outcome == AttemptOutcome.TIMED_OUT


def test_the_last_timeout_fails_the_task(desk: Desk) -> None:
    row = desk.run(interrupting(desk, InterruptCause.TIMEOUT), timeout_s=30, max_attempts=1)

    assert (row.status, row.reason) == (Status.FAILED, "timed_out")


def test_what_a_shutdown_interrupts_goes_back_and_nothing_is_spent(desk: Desk) -> None:
    row = desk.run(interrupting(desk, InterruptCause.SHUTDOWN))

    assert (row.status, row.failures, row.crashes, row.worker_losses) == (Status.QUEUED, 0, 0, 0)


def test_of_an_attempt_whose_lease_is_over_nothing_is_written(desk: Desk) -> None:
    desk.plugin.behave = interrupting(desk, InterruptCause.FENCE)  # type: ignore[attr-defined]

    assert desk.executor.run(desk.claim()) is None


def test_a_plugin_that_never_looks_is_ended_by_its_timeout(desk: Desk) -> None:
    def compute(ctx: TaskContext, params: Anything) -> object:
        while True:
            pass

    assert desk.run(compute, timeout_s=0.1, max_attempts=1).reason == "timed_out"


def test_an_earlier_checkpoint_is_found(desk: Desk) -> None:
    claimed = desk.claim()._replace(checkpoint={"page": 3})
    desk.plugin.behave = lambda ctx, params: ctx.checkpoint  # type: ignore[attr-defined]

    assert desk.perform(claimed).result.result_json == '{"page":3}'


@pytest.mark.parametrize("at", ["start", "end"])
def test_spans_that_raise_cost_a_task_nothing(stage: DatabaseHarness, at: str) -> None:
    desk = Desk(stage, Tracing.start(Settings(), "tests", extra_processors=[RaisingProcessor(at)]))
    desk.plugin.behave = lambda ctx, params: 5  # type: ignore[attr-defined]
    (task_id,) = stage.submit(new_task(type="scripted"))
    stage.sql("UPDATE task SET trace_context = :text", text="00-" + "a" * 32 + "-" + "1" * 16 + "-01")

    (claimed,) = desk.executor.claim(uuid4(), [task_id])
    desk.executor.settle([desk.perform(claimed)])

    assert stage.status(task_id) == Status.SUCCEEDED
    assert stage.sql("SELECT result FROM task")[0].result == 5
