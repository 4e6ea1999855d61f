"""Schedules that services manage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from taskcore.db.schedules.managed import ensure_managed_schedule
from tests.taskcore.db.db_harness import DatabaseHarness

TASK = {"name": "collect", "type": "noop", "queue": "analytics"}


def ensure(db: DatabaseHarness, every_s: float = 60.0, **fields: Any) -> list[Any]:
    given: dict[str, Any] = {"managed_by": "collector", "task": TASK, **fields}
    return db.run(ensure_managed_schedule("taskcore.collect", every_s=every_s, **given))


def row(db: DatabaseHarness) -> Any:
    (one,) = db.sql("SELECT *, now() AS now FROM schedule")
    return one


def test_concurrent_copies_create_it_once_and_it_is_due_at_once(db: DatabaseHarness) -> None:
    with ThreadPoolExecutor(4) as copies:
        answers = list(copies.map(lambda _: ensure(db), range(8)))

    assert sorted(map(len, answers)) == [0] * 7 + [1]
    schedule = row(db)
    assert schedule.next_at == schedule.anchor_at <= schedule.now
    assert (schedule.managed_by, schedule.every_s, schedule.task) == ("collector", 60.0, TASK)


def test_without_run_at_start_the_first_time_is_one_interval_away(db: DatabaseHarness) -> None:
    ensure(db, run_at_start=False)

    schedule = row(db)
    assert (schedule.next_at - schedule.anchor_at).total_seconds() == 60


def test_a_changed_interval_counts_from_the_last_time_but_never_in_the_past(db: DatabaseHarness) -> None:
    ensure(db)
    db.sql("UPDATE schedule SET last_at = now() - interval '100 s', next_at = now() + interval '1 hour'")
    last_at = row(db).last_at

    assert ensure(db, 150.0)
    longer = row(db)
    assert ensure(db, 30.0)
    shorter = row(db)

    assert (longer.next_at - last_at).total_seconds() == 150
    assert shorter.next_at == shorter.anchor_at <= shorter.now
    assert shorter.next_at > last_at


def test_a_changed_task_does_not_change_the_times(db: DatabaseHarness) -> None:
    ensure(db)
    before = row(db)

    assert ensure(db, task={**TASK, "queue": "other"})

    after = row(db)
    assert (after.next_at, after.anchor_at, after.task["queue"]) == (before.next_at, before.anchor_at, "other")


def test_another_owners_schedule_of_that_name_is_not_changed(db: DatabaseHarness) -> None:
    ensure(db, managed_by="another owner")

    assert not ensure(db, 5.0)

    assert row(db).every_s == 60.0
