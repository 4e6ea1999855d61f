"""Submit tasks: a task, its first history row and its outbox row, in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import (
    CTE,
    ColumnElement,
    DateTime,
    Executable,
    Float,
    SmallInteger,
    TableValuedAlias,
    Text,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal_column,
    null,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeEngine

from taskcore.db.models import Outbox, Queue, Task, TaskHistory
from taskcore.db.sql import actor_param, const_bool, const_text, recordset
from taskcore.domain.states import Status
from taskcore.domain.tasks import NewTask

#: At most this many tasks of one request continue its trace.
MAX_TRACED_PER_BATCH = 10

TASK_COLUMNS: dict[str, type[TypeEngine[Any]] | TypeEngine[Any]] = {
    "name": Text,
    "type": Text,
    "queue": Text,
    "parameters": JSONB,
    "description": Text,
    "priority": SmallInteger,
    "labels": JSONB,
    "run_at": DateTime(timezone=True),
    "max_attempts": SmallInteger,
    "timeout_s": Float,
    "delete_after_s": Float,
    "idempotency_key": Text,
    "fingerprint": Text,
    "request_id": Text,
    "trace_context": Text,
}
_STORED = Task.id, Task.idempotency_key, Task.queue, Task.type, Task.priority, Task.status, Task.run_at, Task.created_at


def submit(
    tasks: Sequence[NewTask], by: str = "api", trace_context: str | None = None
) -> tuple[Executable, dict[str, str | None]]:
    """Return the statement that stores `tasks`, and its parameters. `by` is the actor in their history.

    The first few tasks continue the trace `trace_context`, a traceparent: see `with_trace_context`.

    It returns (id, idempotency_key, status, created_at) of each task that it stored, in the order of `tasks`. A task
    whose idempotency key is taken is left out: see `tasks_by_key`.
    """
    return _submit(), {"rows": msgspec.json.encode(with_trace_context(tasks, trace_context)).decode(), "by": by}


def with_trace_context(tasks: Sequence[NewTask], trace_context: str | None) -> Sequence[NewTask]:
    """Return `tasks`; only the first ones continue a trace. Tracing all of a large batch would multiply load."""
    if trace_context is None:
        return tasks
    traced = [replace(task, trace_context=trace_context) for task in tasks[:MAX_TRACED_PER_BATCH]]
    return [*traced, *tasks[MAX_TRACED_PER_BATCH:]]


def tasks_by_key(keys: Sequence[str]) -> Executable:
    """(idempotency_key, id, fingerprint) of the tasks that have one of `keys`."""
    return select(Task.idempotency_key, Task.id, Task.fingerprint).where(Task.idempotency_key == func.any(list(keys)))


@cache
def task_by_key() -> Executable:
    """(id, fingerprint) of the task that has the idempotency key `its_key`."""
    return select(Task.id, Task.fingerprint).where(Task.idempotency_key == bindparam("its_key", type_=Text))


@cache
def _submit() -> Executable:
    asked = recordset("asked", **TASK_COLUMNS)
    queued = const_text(Status.QUEUED)
    is_due = func.coalesce(asked.c.run_at <= func.now(), const_bool(True))
    status = case((is_due, queued), else_=const_text(Status.SCHEDULED))
    stored = insert_tasks(asked, {"status": status})
    history = (
        insert(TaskHistory)
        .from_select(
            ["task_id", "attempt", "to_status", "actor"],
            select(stored.c.id, literal_column("0"), stored.c.status, actor_param()),
        )
        .cte("history")
    )
    outbox = (
        insert(Outbox)
        .from_select(
            ["task_id", "queue", "type", "priority", "is_due", "available_at"],
            select(
                stored.c.id,
                stored.c.queue,
                stored.c.type,
                stored.c.priority,
                stored.c.status == queued,
                func.coalesce(stored.c.run_at, func.now()),
            ),
        )
        .cte("outbox_rows")
    )
    answer = select(stored.c.id, stored.c.idempotency_key, stored.c.status, stored.c.created_at)
    return answer.order_by(stored.c.id).add_cte(history, outbox, insert_queues(stored))


def insert_tasks(
    asked: TableValuedAlias, values: Mapping[str, ColumnElement[Any]], *more: InstrumentedAttribute[Any]
) -> CTE:
    """Insert the tasks of `asked`, with `values`, unless their idempotency key is taken. Returns `more` columns too."""
    given = select(*(asked.c[name] for name in TASK_COLUMNS), *values.values())
    return (
        upsert(Task)
        .from_select([*TASK_COLUMNS, *values], given)
        .on_conflict_do_nothing(index_elements=[Task.idempotency_key], index_where=Task.idempotency_key.is_not(None))
        .returning(*_STORED, *more)
        .cte("stored")
    )


def insert_queues(stored: CTE) -> CTE:
    """Create the queues that are named for the first time, or for the first time since they were to be deleted."""
    exists_already = exists().where(Queue.name == stored.c.queue, Queue.deleted_at.is_(None))
    missing = select(stored.c.queue).distinct().where(~exists_already).order_by(stored.c.queue)
    return (
        upsert(Queue)
        .from_select(["name"], missing)
        .on_conflict_do_update(index_elements=[Queue.name], set_={"deleted_at": null(), "used_at": func.now()})
        .cte("queues")
    )
