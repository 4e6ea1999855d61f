"""Storing tasks, and what an idempotency key makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from taskapi.http.problems import ProblemError, concurrent_update, idempotency_conflict
from taskapi.runtime.database import Database, Rows
from taskapi.schemas import Problem
from taskcore.db.tasks import submit
from taskcore.domain.tasks import NewTask
from taskcore.observability.metrics import TASKS_SUBMITTED
from taskcore.observability.tracing.propagation import current_traceparent

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a task: stored now (`row`), there already (no `row`), or refused (`problem`, and no `id`)."""

    id: int = 0
    row: Any | None = None
    problem: Problem | None = None


async def store_task(database: Database, task: NewTask, by: str) -> Stored:
    """Store `task`, signed `by`, or find the one that came with its key before."""
    for _ in range(ATTEMPTS):
        if rows := await database.write(*submit.submit([task], by, current_traceparent())):
            TASKS_SUBMITTED.inc()
            return Stored(rows[0].id, rows[0])
        rows = await database.read(submit.tasks_by_key([str(task.idempotency_key)]))
        if rows:
            return match_existing(task, rows[0])
    raise concurrent_update()


async def store_tasks(database: Database, tasks: Sequence[NewTask], by: str, is_atomic: bool) -> list[Stored]:
    """Store `tasks` in one transaction. Atomic: a key that came with another body refuses them all."""
    if not tasks:
        return []
    if tasks[0].idempotency_key is None:
        stored = [Stored(row.id, row) for row in await database.write(*submit.submit(tasks, by, current_traceparent()))]
    else:
        stored = await _store_keyed(database, tasks, by, is_atomic)
    TASKS_SUBMITTED.inc(sum(one.row is not None for one in stored))
    return stored


async def _store_keyed(database: Database, tasks: Sequence[NewTask], by: str, is_atomic: bool) -> list[Stored]:
    async with database.transaction() as connection:
        rows = (await connection.execute(*submit.submit(tasks, by, current_traceparent()))).all()
        created = {row.idempotency_key: row for row in rows}
        others = await existing_by_key(
            connection, [t.idempotency_key for t in tasks if t.idempotency_key not in created]
        )
        stored = [_stored(task, created, others) for task in tasks]
        if is_atomic and (taken := [one.problem for one in stored if one.problem is not None]):
            raise ProblemError(taken[0])
    return stored


def match_existing(task: NewTask, other: Any) -> Stored:
    """Of a `task` whose key is that of `other` (id, fingerprint)."""
    if other.fingerprint != task.fingerprint:
        return Stored(problem=idempotency_conflict(str(task.idempotency_key)))
    return Stored(other.id)


async def existing_by_key(connection: AsyncConnection, keys: Sequence[str | None]) -> Mapping[str, Any]:
    """(id, fingerprint) of the tasks that hold one of `keys` already, by their key."""
    wanted = [key for key in keys if key is not None]
    if not wanted:
        return {}
    rows: Rows = (await connection.execute(submit.tasks_by_key(wanted))).all()
    return {row.idempotency_key: row for row in rows}


def _stored(task: NewTask, created: Mapping[str | None, Any], others: Mapping[str, Any]) -> Stored:
    if (row := created.get(task.idempotency_key)) is not None:
        return Stored(row.id, row)
    other = others.get(str(task.idempotency_key))
    if other is None:
        raise concurrent_update()
    return match_existing(task, other)
