"""Running a schedule by hand, and the retention of its fires."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.schedules import fires as schedule_fires
from taskcore.submission.from_schedule import FiredTask, OverlapConflict, run_now
from taskworker.coordinator.scheduler import KEEP_FIRES_S
from tests.taskcore.db.db_harness import DatabaseHarness
from tests.taskcore.submission.timetable import (
    add_schedule,
    finish_all_tasks,
    finish_tasks,
    fired_times,
    fires,
    get_schedule,
    in_transaction,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def start(engine: AsyncEngine, schedule_id: int, by: str | None = None) -> Any:
    return await in_transaction(engine, run_now, schedule_id, by)


async def test_run_now_submits_at_once_and_keeps_the_due_times(db: DatabaseHarness, engine: AsyncEngine) -> None:
    next_at = datetime.now(UTC) + HOUR
    one = add_schedule(db, next_at, jitter_s=600.0, paused_at=NOON)

    started = await start(engine, one, "user:me")

    assert isinstance(started, FiredTask)
    assert [step.actor for step in db.sql("SELECT actor FROM task_history")] == ["user:me"]
    (row,) = db.sql("SELECT id, status, labels FROM task")
    assert (row.id, row.status) == (started.task_id, "queued")
    assert row.labels == {"taskcore.io/schedule": "s"}
    assert fired_times(db, one) == [started.due_at]
    assert (get_schedule(db, one).next_at, get_schedule(db, one).last_at) == (next_at, started.due_at)


async def test_run_now_respects_overlap(db: DatabaseHarness, engine: AsyncEngine) -> None:
    one = add_schedule(db, NOON, "one", overlap="skip")
    other = add_schedule(db, NOON, "other")

    first = await start(engine, one)
    assert await start(engine, one) == OverlapConflict(first.task_id)
    finish_tasks(db, [first.task_id])
    assert isinstance(await start(engine, one), FiredTask)
    assert isinstance(await start(engine, other), FiredTask)
    assert isinstance(await start(engine, other), FiredTask)

    assert await start(engine, 1_000) is None


async def test_concurrent_run_now_submits_one_task(db: DatabaseHarness, engine: AsyncEngine) -> None:
    one = add_schedule(db, NOON, overlap="skip")

    answers = await asyncio.gather(*(start(engine, one) for _ in range(8)))

    (started,) = [answer for answer in answers if isinstance(answer, FiredTask)]
    assert answers.count(OverlapConflict(started.task_id)) == 7


async def test_old_fires_are_deleted_except_the_newest_and_unfinished(db: DatabaseHarness, engine: AsyncEngine) -> None:
    one = add_schedule(db, NOON, "one")
    other = add_schedule(db, NOON, "other")
    for schedule_id, count in ((one, 150), (other, 50)):
        db.sql(
            "INSERT INTO schedule_fire (schedule_id, due_at)"
            " SELECT :id, now() - number * interval '1 day' FROM generate_series(1, :count) number",
            id=schedule_id,
            count=count,
        )
    await start(engine, one)
    db.sql(
        "UPDATE schedule_fire SET due_at = now() - interval '1 year' WHERE schedule_id = :id AND task_id IS NOT NULL",
        id=one,
    )
    db.sql("INSERT INTO schedule_fire VALUES (:id, now() - interval '2 years', NULL, true)", id=one)

    async with engine.connect() as connection:
        await connection.execute(schedule_fires.delete_old_fires(), {"after_s": KEEP_FIRES_S})

    assert len(fires(db, one)) == 100 + 2
    assert len(fires(db, other)) == 50
    finish_all_tasks(db)
    async with engine.connect() as connection:
        await connection.execute(schedule_fires.delete_old_fires(), {"after_s": KEEP_FIRES_S})
    assert len(fires(db, one)) == 100 + 1
