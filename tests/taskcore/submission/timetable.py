"""Create schedules, and read what they fired."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.models import Schedule
from tests.taskcore.db.db_harness import DatabaseHarness


def add_schedule(db: DatabaseHarness, next_at: datetime, name: str = "s", **fields: Any) -> int:
    """Add a schedule: hourly from `next_at`, catching up everything, with overlap, unless `fields` differ."""
    values: dict[str, Any] = {
        "name": name,
        "anchor_at": next_at,
        "next_at": next_at,
        "timezone": "UTC",
        "jitter_s": 0.0,
        "overlap": "allow",
        "catch_up": "all",
        "catch_up_limit": 1_000,
        "run_at_start": False,
        "task": {"name": "t", "type": "noop"},
        "created_by": "me",
        **({} if "cron" in fields else {"every_s": 3_600.0}),
        **fields,
    }
    (row,) = db.run(insert(Schedule).values(**values).returning(Schedule.id))
    return int(row.id)


def get_schedule(db: DatabaseHarness, schedule_id: int) -> Any:
    (row,) = db.sql("SELECT * FROM schedule WHERE id = :id", id=schedule_id)
    return row


def fires(db: DatabaseHarness, schedule_id: int) -> list[Any]:
    """Return the recorded due times, oldest first."""
    return db.sql("SELECT * FROM schedule_fire WHERE schedule_id = :id ORDER BY due_at", id=schedule_id)


def fired_times(db: DatabaseHarness, schedule_id: int) -> list[datetime]:
    """Return the due times with a task, oldest first."""
    return [row.due_at for row in fires(db, schedule_id) if row.task_id is not None]


def skipped_times(db: DatabaseHarness, schedule_id: int) -> list[datetime]:
    return [row.due_at for row in fires(db, schedule_id) if row.task_id is None and not row.waits]


def waiting_times(db: DatabaseHarness, schedule_id: int) -> list[datetime]:
    return [row.due_at for row in fires(db, schedule_id) if row.waits]


def finish_tasks(db: DatabaseHarness, task_ids: Sequence[int]) -> None:
    db.sql("UPDATE task SET status = 'succeeded', finished_at = now() WHERE id = ANY(:ids)", ids=list(task_ids))
    db.sql("DELETE FROM outbox WHERE task_id = ANY(:ids)", ids=list(task_ids))


def finish_all_tasks(db: DatabaseHarness) -> None:
    finish_tasks(db, [row.id for row in db.sql("SELECT id FROM task")])


async def in_transaction(engine: AsyncEngine, act: Callable[..., Awaitable[Any]], *given: Any) -> Any:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")
        async with connection.begin():
            return await act(connection, *given)
