"""Storing tasks, and what an idempotency key makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from taskapi.database import Database, Rows
from taskapi.problems import Refused, idempotency_conflict, try_again
from taskcore.db import submit
from taskcore.domain.tasks import NewTask
from taskcore.telemetry import TASKS_SUBMITTED

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a task: `row` is set when it was stored now; `is_conflict`: its key came with another body."""

    id: int
    row: Any | None = None
    is_conflict: bool = False


async def store_one(database: Database, task: NewTask) -> Stored:
    """Store `task`, or find the one that came with its key before."""
    for _ in range(ATTEMPTS):
        if rows := await database.write(*submit.submit([task])):
            TASKS_SUBMITTED.inc()
            return Stored(rows[0].id, rows[0])
        rows = await database.read(submit.tasks_by_key([str(task.idempotency_key)]))
        if rows:
            return Stored(rows[0].id, is_conflict=rows[0].fingerprint != task.fingerprint)
    raise try_again()


async def store_all(database: Database, tasks: Sequence[NewTask], is_atomic: bool) -> list[Stored]:
    """Store `tasks` in one transaction. Atomic: a key that came with another body refuses them all."""
    if not tasks:
        return []
    if tasks[0].idempotency_key is None:
        stored = [Stored(row.id, row) for row in await database.write(*submit.submit(tasks))]
    else:
        stored = await _store_keyed(database, tasks, is_atomic)
    TASKS_SUBMITTED.inc(sum(one.row is not None for one in stored))
    return stored


async def _store_keyed(database: Database, tasks: Sequence[NewTask], is_atomic: bool) -> list[Stored]:
    async with database.transaction() as connection:
        created = {row.idempotency_key: row for row in (await connection.execute(*submit.submit(tasks))).all()}
        others = await _others(connection, [t.idempotency_key for t in tasks if t.idempotency_key not in created])
        stored = [_stored(task, created, others) for task in tasks]
        if is_atomic and (taken := [t for t, one in zip(tasks, stored, strict=True) if one.is_conflict]):
            raise Refused(idempotency_conflict(str(taken[0].idempotency_key)))
    return stored


async def _others(connection: AsyncConnection, keys: Sequence[str | None]) -> Mapping[str, Any]:
    if not keys:
        return {}
    rows: Rows = (await connection.execute(submit.tasks_by_key([str(key) for key in keys]))).all()
    return {row.idempotency_key: row for row in rows}


def _stored(task: NewTask, created: Mapping[str | None, Any], others: Mapping[str, Any]) -> Stored:
    if (row := created.get(task.idempotency_key)) is not None:
        return Stored(row.id, row)
    other = others.get(str(task.idempotency_key))
    if other is None:
        raise try_again()
    return Stored(other.id, is_conflict=other.fingerprint != task.fingerprint)
