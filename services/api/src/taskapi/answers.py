"""From rows to what goes over HTTP."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from sqlalchemy import RowMapping

from taskapi import schemas
from taskcore.domain.states import Status, available_actions
from taskcore.domain.tasks import NewTask

_TASK_COLUMNS = tuple(name for name in schemas.Task.__struct_fields__ if name != "available_actions")


def task(row: RowMapping) -> schemas.Task:
    """A row of the table `task`."""
    columns = {name: row[name] for name in _TASK_COLUMNS}
    columns["status"] = status = Status(row["status"])
    return schemas.Task(**columns, available_actions=list(available_actions(status)))


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
        attempt=0,
        failures=0,
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
    return struct(**{name: row[name] for name in struct.__struct_fields__})
