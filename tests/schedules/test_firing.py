"""A schedule fires: its tasks, its rows and its next time, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db import schedule_fires
from taskcore.db.session import BY_KEY, async_engine
from taskcore.firing import DealtWithBefore, Fired, Overlaps, fire_due, run_now
from taskworker.coordinator.scheduler import BUSY_S, IDLE_S, KEEP_S, WAITING_S, Scheduler
from tests.core.stage import Stage
from tests.schedules.timetable import add_schedule, end, end_all, fired, fires, schedule, skipped, waiting

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def hours(*numbers: int) -> list[datetime]:
    return [NOON + number * HOUR for number in numbers]


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = async_engine(database_url, name="tests", pool_size=10, options=BY_KEY)
    yield engine
    await engine.dispose()


@pytest.fixture
def scheduler(engine: AsyncEngine) -> Scheduler:
    return Scheduler(engine)


async def transact(engine: AsyncEngine, act: Callable[..., Awaitable[Any]], *given: Any) -> Any:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")
        async with connection.begin():
            return await act(connection, *given)


async def start(engine: AsyncEngine, schedule_id: int, by: str | None = None) -> Any:
    return await transact(engine, run_now, schedule_id, by)


async def test_a_time_that_is_due_makes_one_task_of_what_the_schedule_says(stage: Stage, scheduler: Scheduler) -> None:
    stage.know("noop", queue="elsewhere", max_attempts=7)
    task = {"name": "hello", "type": "noop", "parameters": {"a": 1}, "labels": {"team": "x"}, "priority": 3}
    one = add_schedule(stage, NOON, "greeting", task=task)

    await scheduler.step(NOON + MINUTE)

    (row,) = stage.sql("SELECT * FROM task")
    assert (row.name, row.queue, row.max_attempts, row.priority) == ("hello", "elsewhere", 7, 3)
    assert (row.parameters, row.labels) == ({"a": 1}, {"team": "x", "taskcore.io/schedule": "greeting"})
    assert (row.status, row.run_at) == ("queued", None)
    (step,) = stage.sql("SELECT * FROM task_history")
    assert (step.actor, step.to_status) == (f"schedule:{one}", "queued")
    assert [(fire.due_at, fire.task_id) for fire in fires(stage, one)] == [(NOON, row.id)]
    after = schedule(stage, one)
    assert (after.next_at, after.last_at, after.missed) == (NOON + HOUR, NOON, 0)


async def test_nothing_happens_before_the_time_nor_again_after_it(stage: Stage, scheduler: Scheduler) -> None:
    one = add_schedule(stage, NOON)

    await scheduler.step(NOON - MINUTE)
    assert fired(stage, one) == []
    await scheduler.step(NOON)
    await scheduler.step(NOON)
    await scheduler.step(NOON - 2 * HOUR)

    assert fired(stage, one) == [NOON]


async def test_what_a_type_that_nobody_has_brought_submits_waits_for_it(stage: Stage, scheduler: Scheduler) -> None:
    add_schedule(stage, NOON, task={"type": "unheard_of"})

    await scheduler.step(NOON)

    (row,) = stage.sql("SELECT name, type, queue, max_attempts FROM task")
    assert tuple(row) == ("s", "unheard_of", "default", 4)


@pytest.mark.parametrize(
    ("catch_up", "limit", "times", "missed"),
    [
        ("none", 100, hours(5), 5),
        ("last", 100, hours(5), 5),
        ("all", 100, hours(0, 1, 2, 3, 4, 5), 0),
        ("all", 2, hours(4, 5), 4),
    ],
)
async def test_after_an_outage_its_policy_says_what_is_caught_up(
    stage: Stage, scheduler: Scheduler, catch_up: str, limit: int, times: list[datetime], missed: int
) -> None:
    one = add_schedule(stage, NOON, catch_up=catch_up, catch_up_limit=limit)

    await scheduler.step(NOON + 5 * HOUR)

    assert fired(stage, one) == times
    assert (schedule(stage, one).missed, schedule(stage, one).next_at) == (missed, NOON + 6 * HOUR)


async def test_late_times_that_are_not_caught_up_leave_no_task(stage: Stage, scheduler: Scheduler) -> None:
    one = add_schedule(stage, NOON, catch_up="none")

    await scheduler.step(NOON + 2 * MINUTE)

    assert (fires(stage, one), schedule(stage, one).missed) == ([], 1)
    assert stage.sql("SELECT 1 FROM task") == []


async def test_with_skip_a_time_has_no_task_while_the_one_before_runs(stage: Stage, scheduler: Scheduler) -> None:
    one = add_schedule(stage, NOON, overlap="skip")

    for number in range(3):
        await scheduler.step(NOON + number * HOUR)
    end_all(stage)
    await scheduler.step(NOON + 3 * HOUR)

    assert fired(stage, one) == hours(0, 3)
    assert skipped(stage, one) == hours(1, 2)


async def test_a_task_that_runs_for_long_is_not_forgotten_by_all_that_is_skipped(
    stage: Stage, scheduler: Scheduler
) -> None:
    one = add_schedule(stage, NOON, overlap="skip", every_s=60.0, catch_up_limit=1_000)

    await scheduler.step(NOON)
    for quarter in range(1, 33):
        await scheduler.step(NOON + quarter * 15 * MINUTE)

    assert fired(stage, one) == [NOON]
    assert len(skipped(stage, one)) == 32 * 15


async def test_with_queue_times_wait_for_the_one_before_and_run_one_after_the_other(
    stage: Stage, scheduler: Scheduler
) -> None:
    one = add_schedule(stage, NOON, overlap="queue", catch_up="none")

    for number in range(3):
        pause_s = await scheduler.step(NOON + number * HOUR)
    assert (fired(stage, one), waiting(stage, one)) == (hours(0), hours(1, 2))
    assert await scheduler.step(NOON + 2 * HOUR) == WAITING_S
    end_all(stage)
    await scheduler.step(NOON + 2 * HOUR + 30 * MINUTE)
    await scheduler.step(NOON + 2 * HOUR + 30 * MINUTE)
    assert (fired(stage, one), waiting(stage, one)) == (hours(0, 1), hours(2))
    end_all(stage)
    await scheduler.step(NOON + 3 * HOUR)

    assert (fired(stage, one), waiting(stage, one)) == (hours(0, 1, 2), hours(3))
    assert schedule(stage, one).missed == 0
    assert pause_s == 0.0


async def test_when_too_many_wait_the_oldest_are_given_up(stage: Stage, scheduler: Scheduler) -> None:
    one = add_schedule(stage, NOON, overlap="queue", catch_up_limit=2)

    for number in range(5):
        await scheduler.step(NOON + number * HOUR)

    assert (fired(stage, one), waiting(stage, one)) == (hours(0), hours(3, 4))
    assert schedule(stage, one).missed == 2


async def test_a_paused_schedule_does_nothing(stage: Stage, scheduler: Scheduler) -> None:
    one = add_schedule(stage, NOON, paused_at=NOON)

    assert await scheduler.step(NOON + HOUR) == IDLE_S

    assert fires(stage, one) == []


async def test_jitter_delays_the_task_and_not_the_time(stage: Stage, scheduler: Scheduler) -> None:
    next_at = datetime.now(UTC) + HOUR
    one = add_schedule(stage, next_at, jitter_s=600.0)

    await scheduler.step(next_at)

    (row,) = stage.sql("SELECT status, run_at FROM task")
    assert row.status == "scheduled"
    assert next_at <= row.run_at < next_at + timedelta(seconds=600)
    assert fired(stage, one) == [next_at]


async def test_a_cron_line_is_followed_in_its_zone_over_a_change_of_clocks(stage: Stage, scheduler: Scheduler) -> None:
    first = datetime(2026, 3, 28, 1, 30, tzinfo=UTC)  # 02:30 in Berlin; the next night has none
    one = add_schedule(stage, first, cron="30 2 * * *", timezone="Europe/Berlin")

    await scheduler.step(datetime(2026, 3, 30, 12, tzinfo=UTC))

    assert fired(stage, one) == [
        first,
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 3, 30, 0, 30, tzinfo=UTC),
    ]


async def test_it_sleeps_until_the_next_time_but_not_for_long(stage: Stage, scheduler: Scheduler) -> None:
    assert await scheduler.step(NOON) == IDLE_S
    one = add_schedule(stage, NOON + HOUR)
    assert await scheduler.step(NOON) == IDLE_S
    assert await scheduler.step(NOON + HOUR - timedelta(seconds=2)) == pytest.approx(2)

    assert await scheduler.step(NOON + HOUR) == 0.0
    assert fired(stage, one) == [NOON + HOUR]


async def test_a_schedule_that_cannot_be_fired_does_not_hold_up_the_others(stage: Stage, scheduler: Scheduler) -> None:
    broken = add_schedule(stage, NOON - HOUR, "broken", cron="@daily", timezone="No/Where")
    whole = add_schedule(stage, NOON, "whole")

    assert await scheduler.step(NOON) == 0.0
    assert await scheduler.step(NOON) == IDLE_S

    assert (fires(stage, broken), fired(stage, whole)) == ([], [NOON])
    stage.sql("UPDATE schedule SET timezone = 'UTC' WHERE id = :id", id=broken)
    scheduler.wake()
    await scheduler.step(NOON)
    assert fired(stage, broken) == [NOON - HOUR]


async def test_one_that_somebody_else_has_locked_is_left_to_them(
    stage: Stage, scheduler: Scheduler, engine: AsyncEngine
) -> None:
    one = add_schedule(stage, NOON)
    async with engine.connect() as other:
        await other.execution_options(isolation_level="READ COMMITTED")
        await other.execute(schedule_fires.lock_due(), {"of": one, "moment": NOON})

        assert await scheduler.step(NOON) == BUSY_S

        await other.rollback()
    await scheduler.step(NOON)
    assert fired(stage, one) == [NOON]


async def test_a_time_that_was_dealt_with_is_not_again_when_the_schedule_is_set_back(
    stage: Stage, scheduler: Scheduler
) -> None:
    one = add_schedule(stage, NOON)
    await scheduler.step(NOON + HOUR)

    stage.sql("UPDATE schedule SET next_at = :at", at=NOON)
    await scheduler.step(NOON + 2 * HOUR)

    assert fired(stage, one) == hours(0, 1, 2)
    assert len(stage.sql("SELECT 1 FROM task")) == 3


async def test_who_does_not_keep_to_the_lock_meets_the_key_and_submits_nothing(
    stage: Stage, engine: AsyncEngine
) -> None:
    one = add_schedule(stage, NOON)
    stage.sql(
        "CREATE FUNCTION intrude() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO schedule_fire (schedule_id, due_at) SELECT id, next_at FROM schedule; RETURN NEW; END $$"
    )
    stage.sql("CREATE TRIGGER intrude AFTER INSERT ON task FOR EACH ROW EXECUTE FUNCTION intrude()")

    with pytest.raises(DealtWithBefore):
        await transact(engine, fire_due, one, NOON)

    assert stage.sql("SELECT 1 FROM task") == []


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
    stage: Stage, scheduler: Scheduler, engine: AsyncEngine
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
