"""The scribe: what attempts tell is written, in time and once, and bounded while the database is away."""

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


def held(stage: DatabaseHarness) -> Lease:
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], token=token)
    return Lease(task_id, 1, token)


def line(lease: Lease, number: int, message: str = "a line", fields: str | None = None) -> LogLine:
    return LogLine(lease, number, time.monotonic(), "info", message, fields)


@pytest.fixture
def writing(stage: DatabaseHarness) -> Iterator[ReportWriter]:
    """One whose thread runs."""
    one = ReportWriter(stage.engine)
    one.start()
    yield one
    one.stop()


def test_what_is_told_is_written_before_long(stage: DatabaseHarness, writing: ReportWriter) -> None:
    lease = held(stage)

    writing.add_line(line(lease, 1, fields='{"n": 1}'))
    writing.set_progress(lease, '{"percent": 10}')
    writing.set_progress(lease, '{"percent": 20}')

    eventually(lambda: bool(stage.sql("SELECT 1 FROM task WHERE progress IS NOT NULL")), 30, description="the progress")
    assert [row.progress for row in stage.sql("SELECT progress FROM task")] == [{"percent": 20}]
    assert [(row.line, row.fields) for row in stage.sql("SELECT * FROM task_log")] == [(1, {"n": 1})]


def test_a_flush_leaves_nothing_unwritten(stage: DatabaseHarness) -> None:
    lease = held(stage)
    one = ReportWriter(stage.engine)
    count = 3 * report_writer.MAX_BATCH
    for number in range(1, count + 1):
        one.add_line(line(lease, number))

    one.flush()

    assert stage.sql("SELECT count(*), max(line) FROM task_log")[0][:] == (count, count)


def test_stopping_writes_what_is_left(stage: DatabaseHarness) -> None:
    lease = held(stage)
    one = ReportWriter(stage.engine)
    one.start()
    one.add_line(line(lease, 1))

    one.stop()

    assert len(stage.sql("SELECT 1 FROM task_log")) == 1


def test_while_the_database_is_away_the_newest_lines_are_kept_and_the_rest_is_counted(
    stage: DatabaseHarness, database_url: str
) -> None:
    lease = held(stage)
    engine = sync_engine(database_url, name="tests", pool_size=1)
    is_away = True

    @event.listens_for(engine, "do_connect")
    def refuse(*_: Any) -> None:
        if is_away:
            raise psycopg.OperationalError("away")

    one = ReportWriter(engine, max_buffered_bytes=35)
    for number in range(1, 7):
        one.add_line(line(lease, number, "0123456789"))

    with pytest.raises(DBAPIError) as caught:
        one.flush()
    one.add_line(line(lease, 7, "0123456789"))
    is_away = False
    one.flush()
    engine.dispose()

    assert is_database_unavailable(caught.value)
    rows = stage.sql("SELECT line, message FROM task_log ORDER BY line")
    assert [(row.line, row.message) for row in rows] == [
        (4, "4 lines are missing: the database was unavailable"),
        (5, "0123456789"),
        (6, "0123456789"),
        (7, "0123456789"),
    ]


def test_a_report_that_cannot_be_stored_holds_up_nothing(stage: DatabaseHarness) -> None:
    lease = held(stage)
    one = ReportWriter(stage.engine)
    one.add_line(line(lease, 1, "NUL \0"))
    one.set_progress(lease, "1")
    one.flush()

    one.add_line(line(lease, 2))
    one.flush()

    assert [row.line for row in stage.sql("SELECT line FROM task_log")] == [2]


class Unfriendly:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "fields",
    [
        {"when": UUID(int=0), "what": {1, 2}, "nan": float("nan"), "nul": "\0", "half": "\ud800"},
        {"error": ValueError("broken")},
        {"object": Unfriendly()},
        {"large": "x" * 10_000},
        {"far": 2**70},
        {1: {2: 3}},
    ],
)
def test_any_line_is_kept(stage: DatabaseHarness, fields: dict[Any, Any]) -> None:
    lease = held(stage)
    one = ReportWriter(stage.engine)
    message, cleaned = clean_line("a \0 line " + "ä" * 10_000, fields)

    one.add_line(line(lease, 1, message, cleaned))
    one.flush()

    (row,) = stage.sql("SELECT octet_length(message) AS bytes, fields FROM task_log")
    assert row.bytes <= MAX_LINE_BYTES + 10
    assert row.fields


def test_fields_are_kept_as_they_are_where_they_fit() -> None:
    assert clean_line("said", {"n": 1, "who": ["a"]}) == ("said", '{"n":1,"who":["a"]}')
    assert clean_line("said", {}) == ("said", None)


@pytest.mark.parametrize("value", [object(), "x" * 100, {"deep": [[]] * 60}])
def test_a_document_that_is_no_json_or_too_large_is_refused(value: Any) -> None:
    with pytest.raises(InvalidDocument):
        clean_json(value, 100)
