"""The services of an attempt, as its plugin sees them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import event

from taskapi import schemas
from taskcore.db.engine import sync_engine
from taskcore.db.workers import workers
from taskcore.domain.attempt_reports import MAX_LINES
from taskcore.errors import InvalidDocument, InvalidTask, LeaseLost
from taskcore.execution.executor import Executor
from taskcore.execution.report_writer import ReportWriter
from taskcore.execution.services import DatabaseServices
from taskcore.observability.redaction import Redactor
from taskcore.plugins import Parameters, Plugin, build_plugins
from taskcore.plugins.context import TaskContext
from taskcore.plugins.interrupts import InterruptCause
from taskcore.settings import Settings
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


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
        make_services=partial(DatabaseServices, engine, writer, Redactor(["token"])),
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


def lines(db: DatabaseHarness) -> list[Any]:
    return db.sql("SELECT level, message, fields FROM task_log ORDER BY line")


def test_log_lines_are_stored_before_the_result(db: DatabaseHarness) -> None:
    def run(ctx: TaskContext) -> None:
        log = ctx.log.bind(page=1)
        log.info("started", event="x")
        log.warning("odd", page=2)
        try:
            raise ValueError("broken")
        except ValueError:
            log.exception("failed")

    assert run_to_end(db, run) == "succeeded"

    found = lines(db)
    assert [tuple(row) for row in found[:2]] == [
        ("info", "started", {"page": 1, "event": "x"}),
        ("warning", "odd", {"page": 2}),
    ]
    assert "ValueError: broken" in found[2].fields["exception"]


def test_long_log_is_cut_with_a_last_line(db: DatabaseHarness) -> None:
    def run(ctx: TaskContext) -> None:
        for number in range(MAX_LINES + 5):
            ctx.log.debug(f"line {number}")

    run_to_end(db, run)

    found = lines(db)
    assert len(found) == MAX_LINES + 1
    assert found[MAX_LINES - 1].message == f"line {MAX_LINES - 1}"
    assert found[MAX_LINES].message.startswith("cut here")


def test_last_progress_is_stored(db: DatabaseHarness) -> None:
    def run(ctx: TaskContext) -> None:
        for percent in range(5):
            ctx.progress({"percent": percent, "nan": float("nan")})

    run_to_end(db, run)

    assert [row.progress for row in db.sql("SELECT progress FROM task")] == [{"percent": 4, "nan": None}]


@pytest.mark.parametrize("size", [17, 257])
def test_document_that_is_too_large_is_refused(db: DatabaseHarness, size: int) -> None:
    def run(ctx: TaskContext) -> None:
        tell = ctx.progress if size == 17 else ctx.save_checkpoint
        with pytest.raises(InvalidDocument, match="bytes"):
            tell("x" * size * 1024)

    assert run_to_end(db, run) == "succeeded"


def test_checkpoint_is_durable_when_the_call_returns(db: DatabaseHarness) -> None:
    def run(ctx: TaskContext) -> None:
        ctx.save_checkpoint({"page": 3})
        assert db.sql("SELECT checkpoint FROM task")[0].checkpoint == {"page": 3}

    assert run_to_end(db, run) == "succeeded"


def test_checkpoint_after_a_lost_lease_is_refused(db: DatabaseHarness) -> None:
    def run(ctx: TaskContext) -> None:
        db.settle_as_lost(db.sql("SELECT * FROM task"), by="coordinator")
        with pytest.raises(LeaseLost):
            ctx.save_checkpoint(1)

    assert run_to_end(db, run) == "queued"


def test_checkpoint_waits_for_an_unavailable_database(db: DatabaseHarness, database_url: str) -> None:
    engine = sync_engine(database_url, name="tests", pool_size=1)
    refusals = 0

    @event.listens_for(engine, "do_connect")
    def refuse(*_: Any) -> None:
        nonlocal refusals
        if 0 < refusals < 3:
            refusals += 1
            raise psycopg.OperationalError("unavailable")

    def run(ctx: TaskContext) -> None:
        nonlocal refusals
        engine.dispose()
        refusals = 1
        ctx.save_checkpoint({"page": 3})

    assert run_to_end(db, run, engine) == "succeeded"
    assert refusals == 3
    assert db.sql("SELECT checkpoint FROM task")[0].checkpoint == {"page": 3}
    engine.dispose()


def test_wait_for_the_database_can_be_interrupted(db: DatabaseHarness, database_url: str) -> None:
    engine = sync_engine(database_url, name="tests", pool_size=1)
    interrupt: list[Callable[[], object]] = []

    @event.listens_for(engine, "do_connect")
    def refuse(*_: Any) -> None:
        if interrupt:
            interrupt[0]()
            raise psycopg.OperationalError("unavailable")

    def run(ctx: TaskContext) -> None:
        engine.dispose()
        interrupt.append(partial(ctx.cancellation.interrupt, InterruptCause.CANCEL))
        try:
            ctx.save_checkpoint(1)
        finally:
            interrupt.clear()

    assert run_to_end(db, run, engine) == "cancelled"
    engine.dispose()


def register_child(db: DatabaseHarness, schema: dict[str, Any]) -> None:
    """Register the type `child`."""
    known = {"name": "child", "description": "", "queue": "children", "schema": schema, "max_attempts": 7, "retry": {}}
    db.run(workers.register_types([known]))


def test_submitted_task_is_signed_by_the_submitting_task(db: DatabaseHarness) -> None:
    register_child(db, {"type": "object", "properties": {"n": {"type": "integer"}}})
    ids: list[int] = []

    def run(ctx: TaskContext) -> None:
        ids.append(ctx.submit("child", {"n": 1}, priority=3, labels={"of": str(ctx.task_id)}))
        ids.append(ctx.submit("child", name="second", run_at=datetime.now(UTC) + timedelta(hours=1)))

    assert run_to_end(db, run) == "succeeded"

    first, second = db.sql("SELECT * FROM task WHERE id = ANY(:ids) ORDER BY id", ids=ids)
    assert (first.name, first.queue, first.parameters, first.priority, first.max_attempts, first.status) == (
        "child",
        "children",
        {"n": 1},
        3,
        7,
        "queued",
    )
    assert (second.name, second.status) == ("second", "scheduled")
    assert [row.actor for row in db.sql("SELECT actor FROM task_history WHERE task_id = :id", id=ids[0])] == ["task:1"]


def test_idempotency_key_returns_the_same_task_and_refuses_another(db: DatabaseHarness) -> None:
    register_child(db, {})

    def run(ctx: TaskContext) -> None:
        first = ctx.submit("child", {"n": 1}, idempotency_key="mine")
        assert ctx.submit("child", {"n": 1}, idempotency_key="mine") == first
        with pytest.raises(InvalidTask, match="was used for a different task"):
            ctx.submit("child", {"n": 2}, idempotency_key="mine")
        assert ctx.submit("child", {"n": 1}) != ctx.submit("child", {"n": 1})

    assert run_to_end(db, run) == "succeeded"


@pytest.mark.parametrize(
    ("type_", "parameters", "fields", "named"),
    [
        ("unheard", {}, {}, "type"),
        ("child", {"n": "one"}, {}, "parameters.n"),
        ("child", {"text": "nul \0"}, {}, "parameters.text"),
        ("child", {}, {"priority": 1_000}, "priority"),
        ("child", {}, {"prioritty": 1}, "prioritty"),
        ("child", {}, {"depends_on": [1]}, "depends_on"),
        ("child", {}, {"idempotency_key": ""}, "idempotency_key"),
        ("child", {"large": "x" * (1024 * 1024)}, {}, "bytes"),
        ("child", {"what": object()}, {}, "object"),
    ],
)
def test_task_that_the_api_would_refuse_is_refused(
    db: DatabaseHarness, type_: str, parameters: dict[str, Any], fields: dict[str, Any], named: str
) -> None:
    register_child(db, {"type": "object", "properties": {"n": {"type": "integer"}}})

    def run(ctx: TaskContext) -> None:
        with pytest.raises(InvalidTask, match=named):
            ctx.submit(type_, parameters, **fields)

    assert run_to_end(db, run) == "succeeded"
    assert db.sql("SELECT count(*) FROM task")[0][0] == 1


def test_plugin_sees_another_task_as_the_api_shows_it(db: DatabaseHarness) -> None:
    (other,) = db.submit(new_task(timeout_s=5.0, parameters={"n": 1}))
    seen: list[Any] = []

    def run(ctx: TaskContext) -> None:
        seen.append(ctx.get(other))
        assert ctx.get(12345) is None

    assert run_to_end(db, run) == "succeeded"

    (task,) = seen
    assert (task["id"], task["status"], task["parameters"], task["timeout"]) == (other, "queued", {"n": 1}, 5.0)
    assert task["created_at"].endswith("Z")
    assert task.keys() == set(schemas.Task.__struct_fields__) - {"available_actions", "trace_url"}
