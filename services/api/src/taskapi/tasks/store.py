"""Store tasks, honouring their idempotency keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from taskapi.http.problems import ProblemError, concurrent_update
from taskapi.runtime.database import Database
from taskapi.tasks.batch_item import BatchItem
from taskcore.db.tasks import submit
from taskcore.observability.metrics import TASKS_SUBMITTED
from taskcore.observability.tracing.propagation import current_traceparent

MAX_TRIES = 3


async def store_task(database: Database, item: BatchItem, by: str) -> None:
    """Store the task as the actor `by`, or find the one that its key belongs to."""
    for _ in range(MAX_TRIES):
        if rows := await database.write(*submit.submit([item.task], by, current_traceparent())):
            TASKS_SUBMITTED.inc()
            return item.mark_inserted(rows[0])
        if rows := await database.read(submit.tasks_by_key([str(item.task.idempotency_key)])):
            return item.mark_existing(rows[0])
    raise concurrent_update()


async def store_tasks(database: Database, items: Sequence[BatchItem], by: str, is_atomic: bool) -> None:
    """Store the tasks in one transaction. An atomic batch is rolled back when a key conflicts."""
    statement = submit.submit([item.task for item in items], by, current_traceparent())
    if items[0].task.idempotency_key is None:
        for item, row in zip(items, await database.write(*statement), strict=True):
            item.mark_inserted(row)
    else:
        async with database.transaction() as connection:
            inserted = {row.idempotency_key: row for row in await connection.execute(*statement)}
            await _match_keys(connection, items, inserted)
            if is_atomic and (problems := [item.problem for item in items if item.problem is not None]):
                raise ProblemError(problems[0])
    count_submitted(items)


def count_submitted(items: Sequence[BatchItem]) -> None:
    TASKS_SUBMITTED.inc(sum(item.row is not None for item in items))


async def existing_by_key(connection: AsyncConnection, items: Sequence[BatchItem]) -> Mapping[str, Any]:
    """Return (id, fingerprint) of the tasks that the keys of `items` belong to, by key."""
    keys = [item.task.idempotency_key for item in items if item.task.idempotency_key is not None]
    if not keys:
        return {}
    return {row.idempotency_key: row for row in await connection.execute(submit.tasks_by_key(keys))}


async def _match_keys(
    connection: AsyncConnection, items: Sequence[BatchItem], inserted: Mapping[str | None, Any]
) -> None:
    """Give each task the row that was inserted for it, or the task that its key belongs to."""
    others = await existing_by_key(connection, [item for item in items if item.task.idempotency_key not in inserted])
    for item in items:
        key = str(item.task.idempotency_key)
        if key in inserted:
            item.mark_inserted(inserted[key])
        elif key in others:
            item.mark_existing(others[key])
        else:  # deleted between the two statements
            raise concurrent_update()
