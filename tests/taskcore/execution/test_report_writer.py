"""Reports of attempts are stored in time and once, and bounded while the database is unavailable."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from harness.waiting import eventually
from taskcore.db.engine import is_database_unavailable, sync_engine
from taskcore.domain.attempt_reports import MAX_LINE_BYTES, LogLine
from taskcore.domain.tasks import Lease
from taskcore.errors import InvalidDocument
from taskcore.execution import report_writer
from taskcore.execution.json_cleaning import clean_json, clean_line
from taskcore.execution.report_writer import ReportWriter
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


def claim_task(db: DatabaseHarness) -> Lease:
    token = uuid4()
    (task_id,) = db.submit(new_task())
    db.claim([task_id], token=token)
    return Lease(task_id, 1, token)


def line(lease: Lease, number: int, message: str = "a line", fields: str | None = None) -> LogLine:
    return LogLine(lease, number, time.monotonic(), "info", message, fields)


@pytest.fixture
def writer(db: DatabaseHarness) -> Iterator[ReportWriter]:
    """A writer whose thread runs."""
    writer = ReportWriter(db.engine)
    writer.start()
    yield writer
    writer.stop()


def test_reports_are_stored_soon(db: DatabaseHarness, writer: ReportWriter) -> None:
    lease = claim_task(db)

    writer.add_line(line(lease, 1, fields='{"n": 1}'))
    writer.set_progress(lease, '{"percent": 10}')
    writer.set_progress(lease, '{"percent": 20}')

    eventually(lambda: bool(db.sql("SELECT 1 FROM task WHERE progress IS NOT NULL")), 30, description="the progress")
    assert [row.progress for row in db.sql("SELECT progress FROM task")] == [{"percent": 20}]
    assert [(row.line, row.fields) for row in db.sql("SELECT * FROM task_log")] == [(1, {"n": 1})]


def test_flush_stores_everything(db: DatabaseHarness) -> None:
    lease = claim_task(db)
    writer = ReportWriter(db.engine)
    count = 3 * report_writer.MAX_BATCH
    for number in range(1, count + 1):
        writer.add_line(line(lease, number))

    writer.flush()

    assert db.sql("SELECT count(*), max(line) FROM task_log")[0][:] == (count, count)


def test_stop_stores_what_is_left(db: DatabaseHarness) -> None:
    lease = claim_task(db)
    writer = ReportWriter(db.engine)
    writer.start()
    writer.add_line(line(lease, 1))

    writer.stop()

    assert len(db.sql("SELECT 1 FROM task_log")) == 1


def test_newest_lines_are_kept_while_the_database_is_unavailable(db: DatabaseHarness, database_url: str) -> None:
    lease = claim_task(db)
    engine = sync_engine(database_url, name="tests", pool_size=1)
    is_unavailable = True

    @event.listens_for(engine, "do_connect")
    def refuse(*_: Any) -> None:
        if is_unavailable:
            raise psycopg.OperationalError("unavailable")

    writer = ReportWriter(engine, max_buffered_bytes=35)
    for number in range(1, 7):
        writer.add_line(line(lease, number, "0123456789"))

    with pytest.raises(DBAPIError) as caught:
        writer.flush()
    writer.add_line(line(lease, 7, "0123456789"))
    is_unavailable = False
    writer.flush()
    engine.dispose()

    assert is_database_unavailable(caught.value)
    rows = db.sql("SELECT line, message FROM task_log ORDER BY line")
    assert [(row.line, row.message) for row in rows] == [
        (4, "4 lines are missing: the database was unavailable"),
        (5, "0123456789"),
        (6, "0123456789"),
        (7, "0123456789"),
    ]


def test_report_that_cannot_be_stored_holds_up_nothing(db: DatabaseHarness) -> None:
    lease = claim_task(db)
    writer = ReportWriter(db.engine)
    writer.add_line(line(lease, 1, "NUL \0"))
    writer.set_progress(lease, "1")
    writer.flush()

    writer.add_line(line(lease, 2))
    writer.flush()

    assert [row.line for row in db.sql("SELECT line FROM task_log")] == [2]


class RaisingRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "fields",
    [
        {"when": UUID(int=0), "what": {1, 2}, "nan": float("nan"), "nul": "\0", "half": "\ud800"},
        {"error": ValueError("broken")},
        {"object": RaisingRepr()},
        {"large": "x" * 10_000},
        {"far": 2**70},
        {1: {2: 3}},
    ],
)
def test_any_line_is_stored(db: DatabaseHarness, fields: dict[Any, Any]) -> None:
    lease = claim_task(db)
    writer = ReportWriter(db.engine)
    message, cleaned = clean_line("a \0 line " + "ä" * 10_000, fields)

    writer.add_line(line(lease, 1, message, cleaned))
    writer.flush()

    (row,) = db.sql("SELECT octet_length(message) AS bytes, fields FROM task_log")
    assert row.bytes <= MAX_LINE_BYTES + 10
    assert row.fields


def test_fields_that_fit_are_kept_unchanged() -> None:
    assert clean_line("said", {"n": 1, "who": ["a"]}) == ("said", '{"n":1,"who":["a"]}')
    assert clean_line("said", {}) == ("said", None)


@pytest.mark.parametrize("value", [object(), "x" * 100, {"deep": [[]] * 60}])
def test_document_that_is_not_json_or_too_large_is_refused(value: Any) -> None:
    with pytest.raises(InvalidDocument):
        clean_json(value, 100)
