"""Firing a schedule: its tasks, its rows and its next due time, in a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from taskworker.coordinator.scheduler import IDLE_S, OVERLAP_POLL_S, Scheduler
from tests.taskcore.db.db_harness import DatabaseHarness
from tests.taskcore.submission.timetable import (
    add_schedule,
    finish_all_tasks,
    fired_times,
    fires,
    get_schedule,
    skipped_times,
    waiting_times,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def hours(*numbers: int) -> list[datetime]:
    return [NOON + number * HOUR for number in numbers]


async def test_due_time_submits_one_task_as_the_schedule_describes(db: DatabaseHarness, scheduler: Scheduler) -> None:
    db.register_type("noop", queue="elsewhere", max_attempts=7)
    task = {"name": "hello", "type": "noop", "parameters": {"a": 1}, "labels": {"team": "x"}, "priority": 3}
    one = add_schedule(db, NOON, "greeting", task=task)

    await scheduler.step(NOON + MINUTE)

    (row,) = db.sql("SELECT * FROM task")
    assert (row.name, row.queue, row.max_attempts, row.priority) == ("hello", "elsewhere", 7, 3)
    assert (row.parameters, row.labels) == ({"a": 1}, {"team": "x", "taskcore.io/schedule": "greeting"})
    assert (row.status, row.run_at) == ("queued", None)
    (step,) = db.sql("SELECT * FROM task_history")
    assert (step.actor, step.to_status) == (f"schedule:{one}", "queued")
    assert [(fire.due_at, fire.task_id) for fire in fires(db, one)] == [(NOON, row.id)]
    after = get_schedule(db, one)
    assert (after.next_at, after.last_at, after.missed) == (NOON + HOUR, NOON, 0)


async def test_nothing_fires_early_or_twice(db: DatabaseHarness, scheduler: Scheduler) -> None:
    one = add_schedule(db, NOON)

    await scheduler.step(NOON - MINUTE)
    assert fired_times(db, one) == []
    await scheduler.step(NOON)
    await scheduler.step(NOON)
    await scheduler.step(NOON - 2 * HOUR)

    assert fired_times(db, one) == [NOON]


async def test_task_of_an_unknown_type_waits_for_a_worker(db: DatabaseHarness, scheduler: Scheduler) -> None:
    add_schedule(db, NOON, task={"type": "unheard_of"})

    await scheduler.step(NOON)

    (row,) = db.sql("SELECT name, type, queue, max_attempts FROM task")
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
async def test_catch_up_policy_decides_after_an_outage(
    db: DatabaseHarness, scheduler: Scheduler, catch_up: str, limit: int, times: list[datetime], missed: int
) -> None:
    one = add_schedule(db, NOON, catch_up=catch_up, catch_up_limit=limit)

    await scheduler.step(NOON + 5 * HOUR)

    assert fired_times(db, one) == times
    assert (get_schedule(db, one).missed, get_schedule(db, one).next_at) == (missed, NOON + 6 * HOUR)


async def test_missed_times_leave_no_task(db: DatabaseHarness, scheduler: Scheduler) -> None:
    one = add_schedule(db, NOON, catch_up="none")

    await scheduler.step(NOON + 2 * MINUTE)

    assert (fires(db, one), get_schedule(db, one).missed) == ([], 1)
    assert db.sql("SELECT 1 FROM task") == []


async def test_skip_skips_while_the_previous_task_runs(db: DatabaseHarness, scheduler: Scheduler) -> None:
    one = add_schedule(db, NOON, overlap="skip")

    for number in range(3):
        await scheduler.step(NOON + number * HOUR)
    finish_all_tasks(db)
    await scheduler.step(NOON + 3 * HOUR)

    assert fired_times(db, one) == hours(0, 3)
    assert skipped_times(db, one) == hours(1, 2)


async def test_long_running_task_is_found_after_many_skipped_times(db: DatabaseHarness, scheduler: Scheduler) -> None:
    one = add_schedule(db, NOON, overlap="skip", every_s=60.0, catch_up_limit=1_000)

    await scheduler.step(NOON)
    for quarter in range(1, 33):
        await scheduler.step(NOON + quarter * 15 * MINUTE)

    assert fired_times(db, one) == [NOON]
    assert len(skipped_times(db, one)) == 32 * 15


async def test_queue_runs_times_one_after_the_other(db: DatabaseHarness, scheduler: Scheduler) -> None:
    one = add_schedule(db, NOON, overlap="queue", catch_up="none")

    for number in range(3):
        pause_s = await scheduler.step(NOON + number * HOUR)
    assert (fired_times(db, one), waiting_times(db, one)) == (hours(0), hours(1, 2))
    assert await scheduler.step(NOON + 2 * HOUR) == OVERLAP_POLL_S
    finish_all_tasks(db)
    await scheduler.step(NOON + 2 * HOUR + 30 * MINUTE)
    await scheduler.step(NOON + 2 * HOUR + 30 * MINUTE)
    assert (fired_times(db, one), waiting_times(db, one)) == (hours(0, 1), hours(2))
    finish_all_tasks(db)
    await scheduler.step(NOON + 3 * HOUR)

    assert (fired_times(db, one), waiting_times(db, one)) == (hours(0, 1, 2), hours(3))
    assert get_schedule(db, one).missed == 0
    assert pause_s == 0.0


async def test_oldest_waiting_times_are_missed_beyond_the_limit(db: DatabaseHarness, scheduler: Scheduler) -> None:
    one = add_schedule(db, NOON, overlap="queue", catch_up_limit=2)

    for number in range(5):
        await scheduler.step(NOON + number * HOUR)

    assert (fired_times(db, one), waiting_times(db, one)) == (hours(0), hours(3, 4))
    assert get_schedule(db, one).missed == 2


async def test_paused_schedule_does_not_fire(db: DatabaseHarness, scheduler: Scheduler) -> None:
    one = add_schedule(db, NOON, paused_at=NOON)

    assert await scheduler.step(NOON + HOUR) == IDLE_S

    assert fires(db, one) == []


async def test_jitter_delays_the_task_and_not_the_due_time(db: DatabaseHarness, scheduler: Scheduler) -> None:
    next_at = datetime.now(UTC) + HOUR
    one = add_schedule(db, next_at, jitter_s=600.0)

    await scheduler.step(next_at)

    (row,) = db.sql("SELECT status, run_at FROM task")
    assert row.status == "scheduled"
    assert next_at <= row.run_at < next_at + timedelta(seconds=600)
    assert fired_times(db, one) == [next_at]


async def test_cron_line_fires_in_its_zone_across_a_clock_change(db: DatabaseHarness, scheduler: Scheduler) -> None:
    first = datetime(2026, 3, 28, 1, 30, tzinfo=UTC)  # 02:30 in Berlin; the next night has none
    one = add_schedule(db, first, cron="30 2 * * *", timezone="Europe/Berlin")

    await scheduler.step(datetime(2026, 3, 30, 12, tzinfo=UTC))

    assert fired_times(db, one) == [
        first,
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 3, 30, 0, 30, tzinfo=UTC),
    ]


async def test_catch_up_is_no_larger_than_a_batch(db: DatabaseHarness, scheduler: Scheduler) -> None:
    large = {"type": "noop", "parameters": {"text": "x" * 1_000_000}}
    one = add_schedule(db, NOON, catch_up="all", overlap="allow", task=large)

    await scheduler.step(NOON + 49 * HOUR)

    assert fired_times(db, one) == hours(*range(17, 50))
    assert get_schedule(db, one).missed == 17
