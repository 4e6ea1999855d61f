"""Read tasks: one, a page of them, their history and attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, func, literal_column, select

from taskcore.db.models import Task, TaskAttempt, TaskHistory
from taskcore.db.sql import bigint_param, bigints_param, status_in
from taskcore.domain.states import TERMINAL, Status

TOTAL_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks to list; empty means all. Several values of one field mean "any of"; several labels mean "all of"."""

    statuses: Sequence[Status] = ()
    types: Sequence[str] = ()
    queues: Sequence[str] = ()
    labels: Sequence[tuple[str, str]] = ()
    search: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.statuses:
            found.append(status_in(Task.status, self.statuses))
        if self.types:
            found.append(Task.type.in_(self.types))
        if self.queues:
            found.append(Task.queue.in_(self.queues))
        if self.labels:  # the second condition makes the partial index usable
            found.append(Task.labels.contains(dict(self.labels)))
            found.append(Task.labels != literal_column("'{}'::jsonb"))
        if self.search:
            found.append(Task.name.icontains(self.search, autoescape=True))
        if self.created_after is not None:
            found.append(Task.created_at >= self.created_after)
        if self.created_before is not None:
            found.append(Task.created_at < self.created_before)
        return found


@cache
def read_nothing() -> Executable:
    """Return no row. Fails if the database is unavailable or has no schema."""
    return select(literal_column("1")).select_from(Task).limit(0)


@cache
def get_task() -> Executable:
    """Parameter: task_id."""
    return select(*Task.__table__.c).where(Task.id == bigint_param("task_id"))


def list_tasks(task_filter: TaskFilter, *, limit: int, before_id: int | None = None, offset: int = 0) -> Executable:
    """Tasks, newest first. `before_id` continues after the last id of the previous page."""
    statement: Any = select(*Task.__table__.c).where(*task_filter.conditions())
    if before_id is not None:
        statement = statement.where(Task.id < before_id)
    return statement.order_by(Task.id.desc()).limit(limit).offset(offset)  # type: ignore[no-any-return]


def count_tasks(task_filter: TaskFilter) -> Executable:
    """The number of tasks, up to one more than `TOTAL_LIMIT`."""
    rows = (
        select(literal_column("1")).select_from(Task).where(*task_filter.conditions()).limit(TOTAL_LIMIT + 1).subquery()
    )
    return select(func.count()).select_from(rows)


@cache
def count_by_status() -> Executable:
    return select(Task.status, func.count()).group_by(Task.status)


@cache
def id_range(statuses: frozenset[Status]) -> Executable:
    """Return the smallest and the largest id of the tasks in `statuses`, nulls when there are none."""
    return select(func.min(Task.id), func.max(Task.id)).where(status_in(Task.status, statuses))


@cache
def find_finished() -> Executable:
    """Return those of `ids` that are finished or deleted. Parameter: ids."""
    wanted = func.unnest(bigints_param()).table_valued("id", name="wanted").render_derived()
    still_open = select(Task.id).where(Task.id == wanted.c.id, ~status_in(Task.status, TERMINAL))
    return select(wanted.c.id).where(~still_open.exists())


@cache
def list_history() -> Executable:
    """Up to `most` of a task's history entries after `after`, oldest first. Parameters: task_id, after, most."""
    return (
        select(*TaskHistory.__table__.c)
        .where(TaskHistory.task_id == bigint_param("task_id"), TaskHistory.id > bigint_param("after"))
        .order_by(TaskHistory.id)
        .limit(bigint_param("most"))
    )


@cache
def list_attempts() -> Executable:
    """Up to `most` of a task's finished attempts after `after`, oldest first. Parameters: task_id, after, most."""
    return (
        select(*TaskAttempt.__table__.c)
        .where(TaskAttempt.task_id == bigint_param("task_id"), TaskAttempt.attempt > bigint_param("after"))
        .order_by(TaskAttempt.attempt)
        .limit(bigint_param("most"))
    )
