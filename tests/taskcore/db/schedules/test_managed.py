"""Schedules that services keep for themselves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from taskcore.db.schedules.managed import ensure_managed_schedule
from tests.taskcore.db.db_harness import DatabaseHarness

TASK = {"name": "collect", "type": "noop", "queue": "analytics"}


def ensure(stage: DatabaseHarness, every_s: float = 60.0, **fields: Any) -> list[Any]:
    given: dict[str, Any] = {"managed_by": "collector", "task": TASK, **fields}
    return stage.run(ensure_managed_schedule("taskcore.collect", every_s=every_s, **given))


def row(stage: DatabaseHarness) -> Any:
    (one,) = stage.sql("SELECT *, now() AS now FROM schedule")
    return one


def test_it_is_made_once_by_any_number_of_copies_and_is_due_at_once(stage: DatabaseHarness) -> None:
    with ThreadPoolExecutor(4) as copies:
        answers = list(copies.map(lambda _: ensure(stage), range(8)))

    assert sorted(map(len, answers)) == [0] * 7 + [1]
    made = row(stage)
    assert made.next_at == made.anchor_at <= made.now
    assert (made.managed_by, made.every_s, made.task) == ("collector", 60.0, TASK)


def test_without_a_run_at_start_the_first_time_is_an_interval_away(stage: DatabaseHarness) -> None:
    ensure(stage, run_at_start=False)

    made = row(stage)
    assert (made.next_at - made.anchor_at).total_seconds() == 60


def test_a_changed_interval_counts_from_the_last_time_and_not_from_the_past(stage: DatabaseHarness) -> None:
    ensure(stage)
    stage.sql("UPDATE schedule SET last_at = now() - interval '100 s', next_at = now() + interval '1 hour'")
    last_at = row(stage).last_at

    assert ensure(stage, 150.0)
    longer = row(stage)
    assert ensure(stage, 30.0)
    shorter = row(stage)

    assert (longer.next_at - last_at).total_seconds() == 150
    assert shorter.next_at == shorter.anchor_at <= shorter.now
    assert shorter.next_at > last_at


def test_a_changed_task_leaves_the_times_alone(stage: DatabaseHarness) -> None:
    ensure(stage)
    before = row(stage)

    assert ensure(stage, task={**TASK, "queue": "other"})

    after = row(stage)
    assert (after.next_at, after.anchor_at, after.task["queue"]) == (before.next_at, before.anchor_at, "other")


def test_a_schedule_that_somebody_else_made_by_that_name_is_left_alone(stage: DatabaseHarness) -> None:
    ensure(stage, managed_by="somebody else")

    assert not ensure(stage, 5.0)

    assert row(stage).every_s == 60.0
