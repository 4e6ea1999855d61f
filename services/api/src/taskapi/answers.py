"""From rows to what goes over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from sqlalchemy import RowMapping

from taskapi import schemas
from taskapi.catalogue import KnownType
from taskcore.domain.states import Status, available_actions
from taskcore.domain.tasks import NewTask

#: What clients know by another name than the tables.
_COLUMNS = {"timeout": "timeout_s", "delete_after": "delete_after_s"}
_TASK_COLUMNS = {
    name: _COLUMNS.get(name, name) for name in schemas.Task.__struct_fields__ if name != "available_actions"
}


def task(row: RowMapping, types: Mapping[str, KnownType]) -> schemas.Task:
    """A row of the table `task`."""
    columns = {name: row[column] for name, column in _TASK_COLUMNS.items()}
    columns["status"] = status = Status(row["status"])
    known = types.get(row["type"])
    actions = available_actions(
        status,
        can_cancel=known is not None and known.can_cancel,
        can_pause=known is not None and known.can_pause,
        pause_requested=row["pause_requested"],
    )
    return schemas.Task(**columns, available_actions=list(actions))


def new_task(asked: NewTask, row: Any) -> schemas.Task:
    """A task that was stored a moment ago, as `taskcore.db.submit` answered it."""
    status = Status(row.status)
    return schemas.Task(
        id=row.id,
        name=asked.name,
        type=asked.type,
        queue=asked.queue,
        status=status,
        priority=asked.priority,
        parameters=asked.parameters,
        labels=asked.labels,
        description=asked.description,
        run_at=asked.run_at and asked.run_at.astimezone(UTC),
        max_attempts=asked.max_attempts,
        timeout=asked.timeout_s,
        delete_after=asked.delete_after_s,
        attempt=0,
        failures=0,
        crashes=0,
        losses=0,
        pause_requested=False,
        progress=None,
        result=None,
        error=None,
        reason=None,
        worker_id=None,
        request_id=asked.request_id,
        idempotency_key=asked.idempotency_key,
        created_at=row.created_at,
        started_at=None,
        finished_at=None,
        available_actions=list(available_actions(status)),
    )


def running_attempt(row: RowMapping) -> schemas.Attempt:
    """The attempt that a task which runs is at."""
    return schemas.Attempt(row["attempt"], row["worker_id"], row["started_at"], None, None, None)


def fields(struct: type[Any], row: RowMapping) -> Any:
    """A `struct` whose fields are columns of `row`."""
    return struct(**{name: row[_COLUMNS.get(name, name)] for name in struct.__struct_fields__})
