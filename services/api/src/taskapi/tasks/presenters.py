"""Build responses from rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Row, RowMapping

from taskapi.runtime.trace_sources import TraceLinks
from taskapi.runtime.type_cache import KnownType
from taskapi.schemas.history import Attempt
from taskapi.schemas.tasks import Task
from taskcore.db.stored_values import stored
from taskcore.domain.states import Status, available_actions
from taskcore.domain.tasks import NewTask
from taskcore.observability.tracing.propagation import trace_id_of

S = TypeVar("S", bound=msgspec.Struct)

#: The columns of fields that have another name.
_COLUMN_NAMES = {"timeout": "timeout_s", "delete_after": "delete_after_s"}
_COMPUTED_FIELDS = {"available_actions", "trace_id", "trace_url"}
_TASK_COLUMNS = {name: _COLUMN_NAMES.get(name, name) for name in Task.__struct_fields__ if name not in _COMPUTED_FIELDS}


def task(row: RowMapping, types: Mapping[str, KnownType], links: TraceLinks) -> Task:
    """Return the task of a row of the table `task`."""
    columns = {name: row[column] for name, column in _TASK_COLUMNS.items()}
    columns["status"] = status = stored(Status, row["status"])
    known = types.get(row["type"])
    actions = available_actions(
        status,
        can_cancel=known is not None and known.can_cancel,
        can_pause=known is not None and known.can_pause,
        pause_requested=row["pause_requested"],
    )
    trace_id = trace_id_of(row["trace_context"])
    trace_url = links.url_for(row["id"], trace_id)
    return Task(**columns, trace_id=trace_id, trace_url=trace_url, available_actions=list(actions))


def stored_task(task: NewTask, row: Any, trace_context: str | None, links: TraceLinks) -> Task:
    """Return a task that was just stored. `row` is what `taskcore.db.tasks.submit` returned for it."""
    status, trace_id = stored(Status, row.status), trace_id_of(trace_context)
    return Task(
        id=row.id,
        name=task.name,
        type=task.type,
        queue=task.queue,
        status=status,
        priority=task.priority,
        parameters=task.parameters,
        labels=task.labels,
        description=task.description,
        run_at=task.run_at and task.run_at.astimezone(UTC),
        max_attempts=task.max_attempts,
        timeout=task.timeout_s,
        delete_after=task.delete_after_s,
        attempt=0,
        failures=0,
        crashes=0,
        worker_losses=0,
        pause_requested=False,
        pause_reason=None,
        paused_by=None,
        progress=None,
        result=None,
        error=None,
        reason=None,
        worker_id=None,
        request_id=task.request_id,
        idempotency_key=task.idempotency_key,
        created_at=row.created_at,
        started_at=None,
        finished_at=None,
        trace_id=trace_id,
        trace_url=links.url_for(row.id, trace_id),
        available_actions=list(available_actions(status)),
    )


def attempt(row: RowMapping | Mapping[str, Any], links: TraceLinks) -> Attempt:
    """Return the attempt of a row of the table `task_attempt`."""
    columns = {name: row[name] for name in Attempt.__struct_fields__ if name != "trace_url"}
    return Attempt(**columns, trace_url=links.url_for(row["task_id"], row["trace_id"]))


def running_attempt(task: RowMapping, links: TraceLinks) -> Attempt:
    """Return the running attempt of a task. Only its worker knows its trace, unless it continues that of the task."""
    trace_id = trace_id_of(task["trace_context"]) if task["attempt"] == 1 else None
    unknown = {"finished_at": None, "outcome": None, "error": None}
    return attempt({**task, **unknown, "task_id": task["id"], "trace_id": trace_id}, links)


def from_row(struct: type[S], row: Row[Any]) -> S:
    """Return a `struct` whose fields are columns of `row`."""
    columns = row._mapping
    return struct(**{name: columns[_COLUMN_NAMES.get(name, name)] for name in struct.__struct_fields__})


def from_rows(struct: type[S], rows: Iterable[Row[Any]]) -> list[S]:
    return [from_row(struct, row) for row in rows]


def first_rows(struct: type[S], rows: Sequence[Row[Any]], limit: int) -> tuple[list[S], bool]:
    """Return up to `limit` of `rows` for a page, and whether there are more."""
    return from_rows(struct, rows[:limit]), len(rows) > limit
