"""An executor with one scripted plugin and a real database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from taskcore.domain.tasks import ClaimedTask, FinishedAttempt
from taskcore.execution.executor import Executor
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskcore.plugins import (
    Parameters,
    Plugin,
    RetryPolicy,
    TaskContext,
    build_plugins,
)
from taskcore.settings import Settings
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


class NumberParameters(Parameters, frozen=True):
    number: int = 0


class Scripted(Plugin[NumberParameters]):
    name = "scripted"
    retry = RetryPolicy(initial=timedelta(seconds=1), jitter=0)
    behaviour: Callable[[TaskContext, NumberParameters], object]

    def run(self, ctx: TaskContext, params: NumberParameters) -> object:
        return self.behaviour(ctx, params)


class ExecutorHarness:
    """An executor with one scripted plugin and a real database."""

    def __init__(self, db: DatabaseHarness, tracing: Tracing = NO_TRACING, settings: Settings | None = None) -> None:
        self.db = db
        plugins = build_plugins([Scripted])
        self.plugin = plugins["scripted"]
        settings = settings or Settings()
        self.executor = Executor(db.engine, plugins, settings, worker_id=1, incarnation=1, tracing=tracing)

    def claim(self, **fields: Any) -> ClaimedTask:
        (task_id,) = self.db.submit(new_task(type="scripted", **fields))
        (claimed,) = self.executor.claim(uuid4(), [task_id])
        return claimed

    def run_claimed(self, claimed: ClaimedTask) -> FinishedAttempt:
        finished = self.executor.run(claimed)
        assert finished is not None
        return finished

    def run(self, behaviour: Callable[[TaskContext, NumberParameters], object], **fields: Any) -> Any:
        self.plugin.behaviour = behaviour  # type: ignore[attr-defined]
        claimed = self.claim(**fields)
        self.executor.settle([self.run_claimed(claimed)])
        (row,) = self.db.sql("SELECT * FROM task WHERE id = :id", id=claimed.lease.task_id)
        return row
