"""A plugin whose run is a function of the test, and an executor that runs it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from taskcore.execution.executor import Executor
from taskcore.execution.report_writer import ReportWriter
from taskcore.execution.services import DatabaseServices
from taskcore.plugins import Parameters, Plugin, build_plugins
from taskcore.plugins.context import TaskContext
from taskcore.settings import LogSettings, QueueSettings, Settings
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

MAX_QUEUES = 3
SETTINGS = Settings(log=LogSettings(redacted_fields=("token",)), queues=QueueSettings(max=MAX_QUEUES))


class NoParameters(Parameters, frozen=True):
    pass


Run = Callable[[TaskContext], object]


def plugin(run_: Run) -> type[Plugin[NoParameters]]:
    class Given(Plugin[NoParameters]):
        name = "noop"

        def run(self, ctx: TaskContext, params: NoParameters) -> object:
            return run_(ctx)

    return Given


def executor(engine: Any, run_: Run) -> Executor:
    writer = ReportWriter(engine)
    return Executor(
        engine,
        build_plugins([plugin(run_)]),
        Settings(),
        worker_id=1,
        incarnation=1,
        make_services=partial(DatabaseServices, engine, writer, SETTINGS),
        flush_reports=writer.flush,
    )


def run_to_end(db: DatabaseHarness, run_: Run, engine: Any = None) -> str:
    """Run a task, settle it, and return its status."""
    one = executor(engine or db.engine, run_)
    (task_id,) = db.submit(new_task(max_attempts=1))
    (claimed,) = one.claim(uuid4(), [task_id])
    finished = one.run(claimed)
    assert finished is not None
    one.settle([finished])
    return db.status(task_id)
