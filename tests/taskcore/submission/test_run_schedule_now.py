"""Running a schedule by hand, and what is kept of its fires."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.schedules import fires as schedule_fires
from taskcore.submission.from_schedule import Fired, Overlaps, run_now
from taskworker.coordinator.scheduler import KEEP_S
from tests.taskcore.db.db_harness import Stage
from tests.taskcore.submission.timetable import add_schedule, end, end_all, fired, fires, schedule, transact

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def start(engine: AsyncEngine, schedule_id: int, by: str | None = None) -> Any:
    return await transact(engine, run_now, schedule_id, by)


async def test_run_now_submits_at_once_and_leaves_the_times_alone(stage: Stage, engine: AsyncEngine) -> None:
    next_at = datetime.now(UTC) + HOUR
    one = add_schedule(stage, next_at, jitter_s=600.0, paused_at=NOON)

    started = await start(engine, one, "user:me")

    assert isinstance(started, Fired)
    assert [step.actor for step in stage.sql("SELECT actor FROM task_history")] == ["user:me"]
    (row,) = stage.sql("SELECT id, status, labels FROM task")
    assert (row.id, row.status) == (started.task_id, "queued")
    assert row.labels == {"taskcore.io/schedule": "s"}
    assert fired(stage, one) == [started.due_at]
    assert (schedule(stage, one).next_at, schedule(stage, one).last_at) == (next_at, started.due_at)


async def test_run_now_heeds_overlap(stage: Stage, engine: AsyncEngine) -> None:
    one = add_schedule(stage, NOON, "one", overlap="skip")
    other = add_schedule(stage, NOON, "other")

    first = await start(engine, one)
    assert await start(engine, one) == Overlaps(first.task_id)
    end(stage, [first.task_id])
    assert isinstance(await start(engine, one), Fired)
    assert isinstance(await start(engine, other), Fired)
    assert isinstance(await start(engine, other), Fired)

    assert await start(engine, 1_000) is None


async def test_of_many_who_say_run_now_at_once_one_does_it(stage: Stage, engine: AsyncEngine) -> None:
    one = add_schedule(stage, NOON, overlap="skip")

    answers = await asyncio.gather(*(start(engine, one) for _ in range(8)))

    (started,) = [answer for answer in answers if isinstance(answer, Fired)]
    assert answers.count(Overlaps(started.task_id)) == 7


async def test_old_fires_go_but_for_the_newest_hundred_and_what_runs_or_waits(
    stage: Stage, engine: AsyncEngine
) -> None:
    one = add_schedule(stage, NOON, "one")
    other = add_schedule(stage, NOON, "other")
    for schedule_id, count in ((one, 150), (other, 50)):
        stage.sql(
            "INSERT INTO schedule_fire (schedule_id, due_at)"
            " SELECT :id, now() - number * interval '1 day' FROM generate_series(1, :count) number",
            id=schedule_id,
            count=count,
        )
    await start(engine, one)
    stage.sql(
        "UPDATE schedule_fire SET due_at = now() - interval '1 year' WHERE schedule_id = :id AND task_id IS NOT NULL",
        id=one,
    )
    stage.sql("INSERT INTO schedule_fire VALUES (:id, now() - interval '2 years', NULL, true)", id=one)

    async with engine.connect() as connection:
        await connection.execute(schedule_fires.prune(), {"after_s": KEEP_S})

    assert len(fires(stage, one)) == 100 + 2
    assert len(fires(stage, other)) == 50
    end_all(stage)
    async with engine.connect() as connection:
        await connection.execute(schedule_fires.prune(), {"after_s": KEEP_S})
    assert len(fires(stage, one)) == 100 + 1
