"""The services of an attempt, as its plugin sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from taskcore.db.engine import sync_engine
from taskcore.domain.attempt_reports import MAX_LINES
from taskcore.errors import InvalidDocument, LeaseLost
from taskcore.plugins.context import TaskContext
from taskcore.plugins.interrupts import InterruptCause
from tests.taskcore.db.db_harness import DatabaseHarness
from tests.taskcore.execution.service_plugins import run_to_end


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


class RaisingMapping(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no items")


@dataclass
class Account:
    user: str
    token: str


def test_field_that_is_not_json_costs_neither_its_line_nor_other_fields(db: DatabaseHarness) -> None:
    def run(ctx: TaskContext) -> None:
        ctx.log.info("odd", tuples={(1, 2): 3}, mapping=RaisingMapping(a=1), deep=nested(80), n=1)
        ctx.log.info(5)  # type: ignore[arg-type]

    assert run_to_end(db, run) == "succeeded"

    odd, number = lines(db)
    assert odd.fields["tuples"] == "{(1, 2): 3}"
    assert odd.fields["mapping"] == "<unreadable>"
    assert odd.fields["n"] == 1
    assert number.message == "5"


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_secrets_of_objects_that_become_json_are_redacted(db: DatabaseHarness) -> None:
    def run(ctx: TaskContext) -> None:
        ctx.log.info("login", account=Account("me", "hunter2"), at="redis://:hunter2@x")

    run_to_end(db, run)

    assert lines(db)[0].fields == {"account": {"user": "me", "token": "***"}, "at": "redis://:***@x"}


def test_secrets_of_the_progress_are_redacted_and_those_of_a_checkpoint_kept(db: DatabaseHarness) -> None:
    def run(ctx: TaskContext) -> None:
        ctx.progress({"token": "hunter2", "page": 3})
        ctx.save_checkpoint({"token": "hunter2"})

    run_to_end(db, run)

    (row,) = db.sql("SELECT progress, checkpoint FROM task")
    assert tuple(row) == ({"token": "***", "page": 3}, {"token": "hunter2"})


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
