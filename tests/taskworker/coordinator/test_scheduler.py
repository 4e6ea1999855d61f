"""The scheduler's loop, and what keeps a due time from being processed twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.postgres import execute_as
from taskcore.db.schedules import fires as schedule_fires
from taskcore.submission.from_schedule import AlreadyFired, fire_due
from taskstandalone.postgres.roles import OWNER
from taskworker.coordinator.scheduler import IDLE_S, LOCKED_RETRY_S, Scheduler
from tests.taskcore.db.db_harness import DatabaseHarness
from tests.taskcore.submission.timetable import add_schedule, fired_times, fires, in_transaction

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hours(*numbers: int) -> list[datetime]:
    return [NOON + number * HOUR for number in numbers]


async def test_scheduler_sleeps_until_the_next_due_time_but_not_for_long(
    db: DatabaseHarness, scheduler: Scheduler
) -> None:
    assert await scheduler.step(NOON) == IDLE_S
    one = add_schedule(db, NOON + HOUR)
    assert await scheduler.step(NOON) == IDLE_S
    assert await scheduler.step(NOON + HOUR - timedelta(seconds=2)) == pytest.approx(2)

    assert await scheduler.step(NOON + HOUR) == 0.0
    assert fired_times(db, one) == [NOON + HOUR]


async def test_schedule_that_cannot_be_fired_does_not_delay_others(db: DatabaseHarness, scheduler: Scheduler) -> None:
    broken = add_schedule(db, NOON - HOUR, "broken", cron="@daily", timezone="No/Where")
    whole = add_schedule(db, NOON, "whole")

    assert await scheduler.step(NOON) == 0.0
    assert await scheduler.step(NOON) == IDLE_S

    assert (fires(db, broken), fired_times(db, whole)) == ([], [NOON])
    db.sql("UPDATE schedule SET timezone = 'UTC' WHERE id = :id", id=broken)
    scheduler.wake()
    await scheduler.step(NOON)
    assert fired_times(db, broken) == [NOON - HOUR]


async def test_schedule_that_another_coordinator_has_locked_is_skipped(
    db: DatabaseHarness, scheduler: Scheduler, engine: AsyncEngine
) -> None:
    one = add_schedule(db, NOON)
    async with engine.connect() as other:
        await other.execution_options(isolation_level="READ COMMITTED")
        await other.execute(schedule_fires.try_lock_schedule(), {"of": one, "moment": NOON})

        assert await scheduler.step(NOON) == LOCKED_RETRY_S

        await other.rollback()
    await scheduler.step(NOON)
    assert fired_times(db, one) == [NOON]


async def test_due_time_is_not_fired_again_when_the_schedule_is_set_back(
    db: DatabaseHarness, scheduler: Scheduler
) -> None:
    one = add_schedule(db, NOON)
    await scheduler.step(NOON + HOUR)

    db.sql("UPDATE schedule SET next_at = :at", at=NOON)
    await scheduler.step(NOON + 2 * HOUR)

    assert fired_times(db, one) == hours(0, 1, 2)
    assert len(db.sql("SELECT 1 FROM task")) == 3


async def test_fire_without_the_lock_violates_the_key_and_submits_nothing(
    db: DatabaseHarness, engine: AsyncEngine, database_url: str
) -> None:
    one = add_schedule(db, NOON)
    execute_as(
        OWNER,
        database_url,
        "CREATE FUNCTION intrude() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO schedule_fire (schedule_id, due_at) SELECT id, next_at FROM schedule; RETURN NEW; END $$",
        "CREATE TRIGGER intrude AFTER INSERT ON task FOR EACH ROW EXECUTE FUNCTION intrude()",
    )

    with pytest.raises(AlreadyFired):
        await in_transaction(engine, fire_due, one, NOON)

    assert db.sql("SELECT 1 FROM task") == []
