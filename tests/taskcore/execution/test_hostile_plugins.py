"""Whatever a plugin raises or returns, its attempt ends with some text."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from taskcore.domain.states import Status
from taskcore.domain.tasks import ClaimedTask
from taskcore.execution.executor import Executor
from taskcore.plugins import (
    Cancel,
    Fail,
    RetryAfter,
    RetryPolicy,
    TaskContext,
    build_plugins,
)
from taskcore.plugins.context import AttemptServices
from taskcore.settings import Settings
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskcore.execution.executor_harness import ExecutorHarness, NumberParameters, Scripted
from tests.taskcore.observability.hostile_exceptions import HOSTILE


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_attempt_ends_whatever_its_exception_does_when_it_is_read(
    harness: ExecutorHarness, make: Callable[[], BaseException]
) -> None:
    def fail(ctx: TaskContext, params: NumberParameters) -> None:
        raise make()

    row = harness.run(fail)

    assert (row.status, row.failures) == (Status.RETRYING, 1)
    assert row.error


def test_attempts_that_could_not_be_described_are_counted(harness: ExecutorHarness) -> None:
    def fail(ctx: TaskContext, params: NumberParameters) -> None:
        raise SyntaxError("bad template", ("a.tpl", 3, "7", "{{ x }"))  # type: ignore[arg-type]

    def count() -> float:
        return REGISTRY.get_sample_value("taskcore_attempts_undescribed_total", {"type": "scripted"}) or 0

    before = count()
    harness.run(fail)

    assert count() == before + 1


def test_timeout_ends_an_exception_that_never_finishes_its_text(harness: ExecutorHarness) -> None:
    class Endless(Exception):
        def __str__(self) -> str:
            while True:
                threading.get_ident()
            return ""

    def fail(ctx: TaskContext, params: NumberParameters) -> None:
        raise Endless

    assert harness.run(fail, timeout_s=0.1, max_attempts=1).reason == "timed_out"


class Stubborn(RetryPolicy):
    def wait_after(self, failures: int, spread: float) -> timedelta:
        return timedelta(seconds=10.0**failures * float("1e300"))


def test_policy_whose_arithmetic_fails_is_replaced(harness: ExecutorHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scripted, "retry", Stubborn())

    row = harness.run(lambda ctx, params: 1 / 0)

    assert row.status == Status.RETRYING
    assert row.error.startswith("ZeroDivisionError")


@pytest.mark.parametrize("wait", [timedelta.max, timedelta.min, timedelta(days=400_000)])
def test_wait_beyond_what_can_be_stored_is_bounded(harness: ExecutorHarness, wait: timedelta) -> None:
    row = harness.run(lambda ctx, params: RetryAfter(wait))

    assert (row.status, row.reason) == (Status.RETRYING, None)


def test_attempt_that_the_worker_cannot_run_is_tried_again(db: DatabaseHarness) -> None:
    def no_services(claimed: ClaimedTask) -> AttemptServices:
        raise MemoryError

    executor = Executor(
        db.engine, build_plugins([Scripted]), Settings(), worker_id=1, incarnation=1, make_services=no_services
    )
    (task_id,) = db.submit(new_task(type="scripted"))
    (claimed,) = executor.claim(uuid4(), [task_id])
    finished = executor.run(claimed)
    assert finished is not None
    executor.settle([finished])

    (row,) = db.sql("SELECT status, worker_losses, error FROM task")
    assert tuple(row) == (Status.RETRYING, 1, "the worker could not run it: MemoryError")
    assert not executor.running.attempts()


def test_system_exit_fails_the_attempt_only(harness: ExecutorHarness) -> None:
    assert harness.run(lambda ctx, params: sys.exit(3)).status == Status.RETRYING


class HasNoClass:
    __class__ = property(lambda self: sys.exit(3))


@dataclass
class ExitsWhenEncoded:
    number: int = 0

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(3)


class HostileText(str):
    __slots__ = ()

    def replace(self, *_: Any) -> str:
        raise RuntimeError


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
        pytest.param(HasNoClass(), Status.FAILED, "invalid_result", id="no class"),
        pytest.param(ExitsWhenEncoded(), Status.FAILED, "invalid_result", id="exits when encoded"),
        pytest.param(HostileText("x"), Status.FAILED, "invalid_result", id="hostile text"),
        pytest.param(Fail(HostileText("x")), Status.FAILED, "non_retryable", id="hostile error"),
        pytest.param(Fail(None), Status.FAILED, "invalid_result", id="no error"),  # type: ignore[arg-type]
    ],
)
def test_return_value_decides_the_status(
    harness: ExecutorHarness, returned: object, status: Status, reason: str | None
) -> None:
    row = harness.run(lambda ctx, params: returned)

    assert (row.status, row.reason) == (status, reason)


def test_result_that_cannot_be_stored_fails_its_own_task_only(harness: ExecutorHarness) -> None:
    harness.plugin.behaviour = lambda ctx, params: {"n": 1}  # type: ignore[attr-defined]
    good, bad = harness.claim(), harness.claim()
    finished = harness.run_claimed(bad)
    unstorable = finished.result._replace(result_json='"\\u0000"')  # cleaning would not produce this

    harness.executor.settle([harness.run_claimed(good), finished._replace(result=unstorable)])

    assert harness.db.status(good.lease.task_id) == Status.SUCCEEDED
    (row,) = harness.db.sql("SELECT status, reason FROM task WHERE id = :id", id=bad.lease.task_id)
    assert tuple(row) == (Status.FAILED, "invalid_result")
