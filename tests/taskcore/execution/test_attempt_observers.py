"""Observers see every attempt: claimed, started, ended, and settled or refused."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from uuid import uuid4

import pytest

from taskcore.domain.outcomes import AttemptOutcome, AttemptResult
from taskcore.domain.tasks import Claim, ClaimedTask, FinishedAttempt
from taskcore.execution.executor import Executor
from taskcore.observability.attempt_observer import AttemptObserver
from taskcore.plugins import Parameters, Plugin, TaskContext, build_plugins
from taskcore.settings import Settings
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

MARK: ContextVar[str | None] = ContextVar("mark", default=None)


class Marked(Plugin[Parameters]):
    """Returns the mark of its context, and leaves another one."""

    name = "noop"

    def run(self, ctx: TaskContext, params: Parameters) -> object:
        mark = MARK.get()
        MARK.set("left by a plugin")
        return mark


class RecordingObserver(AttemptObserver):
    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def claimed(self, claims: Sequence[Claim], asked_ns: int) -> None:
        self.calls.append(("claimed", [claim.task.lease.task_id for claim in claims]))

    def started(self, task: ClaimedTask) -> None:
        self.calls.append(("started", task.lease.task_id, MARK.get()))
        MARK.set(f"task {task.lease.task_id}")

    def ended(self, task: ClaimedTask, result: AttemptResult | None) -> None:
        self.calls.append(("ended", task.lease.task_id, result and result.outcome))

    def settled(self, batch: Sequence[FinishedAttempt], asked_ns: int) -> None:
        self.calls += [("settled", one.lease.task_id) for one in batch]

    def refused(self, batch: Sequence[FinishedAttempt], asked_ns: int) -> None:
        self.calls += [("refused", one.lease.task_id) for one in batch]


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
def executor(db: DatabaseHarness, observer: RecordingObserver) -> Executor:
    plugins = build_plugins([Marked])
    return Executor(db.engine, plugins, Settings(), worker_id=1, incarnation=1, observers=[observer])


def claim(db: DatabaseHarness, executor: Executor, count: int = 1) -> list[ClaimedTask]:
    return executor.claim(uuid4(), db.submit(*(new_task() for _ in range(count))))


def test_hooks_follow_the_walk_of_an_attempt(
    db: DatabaseHarness, executor: Executor, observer: RecordingObserver
) -> None:
    first, second = claim(db, executor, count=2)

    finished = [executor.run(task) for task in (first, second)]
    executor.settle([one for one in finished if one is not None])

    assert observer.calls == [
        ("claimed", [1, 2]),
        ("started", 1, None),
        ("ended", 1, AttemptOutcome.SUCCEEDED),
        ("started", 2, None),
        ("ended", 2, AttemptOutcome.SUCCEEDED),
        ("settled", 1),
        ("settled", 2),
    ]


def test_context_of_an_attempt_comes_from_its_observers_and_ends_with_it(
    db: DatabaseHarness, executor: Executor
) -> None:
    results = [executor.run(task) for task in claim(db, executor, count=2)]

    assert [one and one.result.result_json for one in results] == ['"task 1"', '"task 2"']
    assert MARK.get() is None


def test_result_after_a_lost_lease_is_refused(
    db: DatabaseHarness, executor: Executor, observer: RecordingObserver
) -> None:
    (task,) = claim(db, executor)
    finished = executor.run(task)
    assert finished is not None
    executor.release([task])

    executor.settle([finished])

    assert observer.calls[-2:] == [("settled", 1), ("refused", 1)]


def test_discarded_task_ends_without_a_result(
    db: DatabaseHarness, executor: Executor, observer: RecordingObserver
) -> None:
    (task,) = claim(db, executor)

    executor.discard([task])

    assert observer.calls[-1] == ("ended", task.lease.task_id, None)
