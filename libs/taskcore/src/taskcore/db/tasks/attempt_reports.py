"""What a running attempt reports: log lines, progress, checkpoints. Fenced by (task, attempt, token).

Log lines and progress are committed asynchronously: a crash of PostgreSQL may lose the last moment of them, but never
what was reported before a settlement, which is durable together with everything committed before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Executable,
    Float,
    Integer,
    Select,
    Text,
    Uuid,
    and_,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import InstrumentedAttribute

from taskcore.db.models import Task, TaskLog
from taskcore.db.sql import (
    bigint_param,
    const_bool,
    const_text,
    int_param,
    interval,
    key_equals,
    recordset,
    status_in_unindexed,
)
from taskcore.domain.attempt_reports import LogLine
from taskcore.domain.states import HELD
from taskcore.domain.tasks import Lease


@cache
def append_log_lines() -> Executable:
    """Add log lines of attempts that are still held. Lines of other attempts, and repeated lines, are ignored.

    Parameter: rows, a JSON array of {task_id, attempt, token, line, ago_s, level, message, fields}.
    """
    given = recordset(
        "given",
        task_id=BigInteger,
        attempt=Integer,
        token=Uuid,
        line=Integer,
        ago_s=Float,
        level=Text,
        message=Text,
        fields=JSONB,
    )
    lines = (
        select(
            given.c.task_id,
            given.c.attempt,
            given.c.line,
            func.now() - interval(given.c.ago_s),
            given.c.level,
            given.c.message,
            given.c.fields,
        )
        .join_from(given, Task, and_(key_equals(Task.id, given.c.task_id), Task.attempt == given.c.attempt))
        .where(Task.lease_token == given.c.token, status_in_unindexed(Task.status, HELD))
    )
    columns = ["task_id", "attempt", "line", "at", "level", "message", "fields"]
    return _committed_async(upsert(TaskLog).from_select(columns, lines).on_conflict_do_nothing().cte("lines"))


@cache
def set_progress() -> Executable:
    """Store progress. Parameter: rows, a JSON array of {task_id, attempt, token, document}, at most one per task."""
    return _committed_async(_set(Task.progress))


@cache
def save_checkpoint() -> Executable:
    """Store checkpoints durably.

    Parameter: rows, as for `set_progress`. Returns the ids of those that were still held.
    """
    return select(_set(Task.checkpoint).c.id)


@cache
def list_log_lines() -> Executable:
    """Log lines, oldest first.

    Parameters: task, after_attempt and after_line (exclusive start), until_attempt, room.
    """
    return (
        select(*TaskLog.__table__.c)
        .where(TaskLog.task_id == bigint_param("task"), TaskLog.attempt <= int_param("until_attempt"))
        .where(tuple_(TaskLog.attempt, TaskLog.line) > tuple_(int_param("after_attempt"), int_param("after_line")))
        .order_by(TaskLog.attempt, TaskLog.line)
        .limit(bigint_param("room"))
    )


def log_line_rows(lines: Sequence[LogLine], now: float) -> str:
    """Return the parameter `rows` of `append_log_lines`. `now` is the monotonic clock of the lines' `logged_at`."""
    return msgspec.json.encode(
        [
            {
                "task_id": line.lease.task_id,
                "attempt": line.lease.attempt,
                "token": line.lease.token,
                "line": line.number,
                "ago_s": now - line.logged_at,
                "level": line.level,
                "message": line.message,
                "fields": _raw(line.fields),
            }
            for line in lines
        ]
    ).decode()


def document_rows(documents: Mapping[Lease, str | None]) -> str:
    """Return the parameter `rows` of `set_progress` and `save_checkpoint`. Documents are JSON text."""
    return msgspec.json.encode(
        [
            {"task_id": lease.task_id, "attempt": lease.attempt, "token": lease.token, "document": _raw(document)}
            for lease, document in documents.items()
        ]
    ).decode()


def _raw(document: str | None) -> msgspec.Raw | None:
    return None if document is None else msgspec.Raw(document.encode())


def _set(column: InstrumentedAttribute[Any]) -> CTE:
    given = recordset("given", task_id=BigInteger, attempt=Integer, token=Uuid, document=JSONB)
    held = (
        select(Task.id, given.c.document)
        .join_from(given, Task, and_(key_equals(Task.id, given.c.task_id), Task.attempt == given.c.attempt))
        .where(Task.lease_token == given.c.token, status_in_unindexed(Task.status, HELD))
        .order_by(given.c.task_id)
        .with_for_update(of=Task)
        .cte("held")
    )
    return (
        update(Task)
        .where(key_equals(Task.id, held.c.id))
        .values({column: held.c.document})
        .returning(Task.id)
        .cte("written")
    )


def _committed_async(written: CTE) -> Select[Any]:
    """`written`, committed asynchronously: the setting is read at the commit and ends with the transaction."""
    setting: ColumnElement[str] = func.set_config(const_text("synchronous_commit"), const_text("off"), const_bool(True))
    return select(setting).add_cte(written)
