"""Retention: old tasks are deleted in small batches, but never one that is unfinished or not yet resolved."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, async_engine
from taskcore.db.tasks import retention
from taskcore.live_settings import CurrentSettings
from taskcore.settings import RetentionSettings, Settings
from taskworker.coordinator.database import Database
from taskworker.coordinator.retention import Retention, plan_policy, shortest_age_s
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

HOUR = 3600.0

MakeRetention = Callable[..., Retention]


def finish(db: DatabaseHarness, task_id: int, status: str = "succeeded", *, ago_s: float = 0.0) -> None:
    """Give the task an end `ago_s` seconds ago, and rows in all tables."""
    db.claim([task_id], token=uuid4())
    db.sql(
        "UPDATE task SET status = :status, lease_token = NULL, created_at = now() - :ago * interval '1 second',"
        " finished_at = now() - :ago * interval '1 second' WHERE id = :id",
        status=status,
        ago=ago_s,
        id=task_id,
    )
    db.sql("INSERT INTO task_attempt VALUES (:id, 1, 1, now(), now(), 'succeeded')", id=task_id)
    db.sql("INSERT INTO task_log VALUES (:id, 1, 1, now(), 'info', 'said')", id=task_id)


def left(db: DatabaseHarness) -> list[int]:
    return [row.id for row in db.sql("SELECT id FROM task ORDER BY id")]


@pytest.fixture
async def keeping(database_url: str) -> AsyncIterator[MakeRetention]:
    """Yield a function that creates a retention with these settings."""
    engine = async_engine(database_url, name="tests", pool_size=2, options=KEY_LOOKUP_OPTIONS)
    yield lambda current=None, **settings: Retention(
        Database(engine), current or CurrentSettings(Settings(retention=RetentionSettings(**settings)))
    )
    await engine.dispose()


async def run(one: Retention) -> None:
    """Run until there is nothing more to do at once."""
    while await one.step():
        continue


async def test_a_task_is_deleted_with_its_rows_and_history_gives_the_reason(
    db: DatabaseHarness, keeping: MakeRetention
) -> None:
    old, young = db.submit(new_task(), new_task())
    finish(db, old, ago_s=HOUR + 60)
    finish(db, young, ago_s=HOUR - 60)
    db.sql("INSERT INTO task_dependency VALUES (:old, :young), (:young, :old)", old=old, young=young)

    await run(keeping(succeeded_s=HOUR))

    assert left(db) == [young]
    for table in ("task_attempt", "task_log", "task_dependency"):
        assert [row.task_id for row in db.sql(f"SELECT task_id FROM {table}")] == [young]
    (deletion,) = db.sql("SELECT * FROM task_history WHERE to_status IS NULL")
    assert (deletion.task_id, deletion.from_status, deletion.actor, deletion.details) == (
        old,
        "succeeded",
        "coordinator",
        {"reason": "retention", "type": "noop", "queue": "default"},
    )


async def test_each_type_and_status_has_its_own_retention_time(db: DatabaseHarness, keeping: MakeRetention) -> None:
    asked = [
        ("noop", "succeeded"),
        ("noop", "failed"),
        ("noop", "cancelled"),
        ("mail", "succeeded"),
        ("mail", "failed"),
    ]
    ids = db.submit(*[new_task(type=type_) for type_, _ in asked])
    for task_id, (_, status) in zip(ids, asked, strict=True):
        finish(db, task_id, status, ago_s=2 * HOUR)

    await run(keeping(succeeded_s=HOUR, failed_s=HOUR, types={"mail": {"failed_s": None}, "other": {}}))

    assert left(db) == [ids[2], ids[4]]


def test_a_type_inherits_the_limits_it_does_not_set() -> None:
    settings = RetentionSettings.model_validate(
        {"succeeded_s": 500, "failed_s": 900, "types": {"mail": {"failed_s": None, "cancelled_s": 200}}}
    )

    policy = {(rule.type, str(rule.status)): rule.max_age_s for rule in plan_policy(settings)}

    assert policy == {
        (None, "succeeded"): 500,
        (None, "failed"): 900,
        (None, "cancelled"): None,
        ("mail", "succeeded"): 500,
        ("mail", "failed"): None,
        ("mail", "cancelled"): 200,
    }
    assert shortest_age_s(plan_policy(settings)) == 200
    assert shortest_age_s(plan_policy(RetentionSettings())) is None


@pytest.mark.parametrize("dependents_state", ["pending", "reblock"])
async def test_a_task_that_is_not_resolved_is_kept(
    db: DatabaseHarness, keeping: MakeRetention, dependents_state: str
) -> None:
    waited_for, settled = db.submit(new_task(), new_task(delete_after_s=1.0))
    for task_id in (waited_for, settled):
        finish(db, task_id, ago_s=HOUR)
    db.sql("UPDATE task SET delete_at = now()")
    db.sql("UPDATE task SET dependents_state = :it WHERE id = :id", it=dependents_state, id=waited_for)
    db.sql("UPDATE task SET dependents_state = 'resolved' WHERE id = :id", id=settled)

    await run(keeping(succeeded_s=60))

    assert left(db) == [waited_for]


async def test_an_unfinished_task_is_kept_however_old_it_is(db: DatabaseHarness, keeping: MakeRetention) -> None:
    statuses = ("queued", "running", "retrying", "paused", "blocked", "scheduled", "cancelling")
    ids = db.submit(*[new_task() for _ in statuses])
    for task_id, status in zip(ids, statuses, strict=True):
        finish(db, task_id, status, ago_s=HOUR)
    db.sql("UPDATE task SET delete_at = now()")

    await run(keeping(succeeded_s=60, failed_s=60, cancelled_s=60))

    assert left(db) == ids


async def test_a_task_with_delete_after_is_deleted_at_that_time(db: DatabaseHarness, keeping: MakeRetention) -> None:
    token = uuid4()
    due, later, never = db.submit(new_task(delete_after_s=30.0), new_task(delete_after_s=30.0), new_task())
    db.claim([due, later, never], token=token)
    for task_id in (due, later, never):
        db.settle(task_id, 1, token)
    db.sql("UPDATE task SET delete_at = delete_at - interval '31 seconds' WHERE id = :id", id=due)

    await run(keeping())

    assert left(db) == [later, never]
    (deletion,) = db.sql("SELECT details FROM task_history WHERE to_status IS NULL")
    assert deletion.details == {"reason": "delete_after", "type": "noop", "queue": "default"}


async def test_tasks_are_deleted_in_batches_and_the_walk_waits_at_young_tasks(
    db: DatabaseHarness, keeping: MakeRetention
) -> None:
    count = 2 * retention.BATCH + 10
    db.submit(*[new_task() for _ in range(count + 5)])
    db.sql("UPDATE task SET status = 'succeeded', finished_at = now()")
    db.sql(
        "UPDATE task SET finished_at = now() - interval '2 hours', created_at = now() - interval '2 hours'"
        " WHERE id <= :last",
        last=count,
    )
    one = keeping(succeeded_s=HOUR)

    steps = [await one.step() for _ in range(4)]

    assert steps == [True, True, False, False]
    assert len(left(db)) == 5


async def test_a_changed_setting_restarts_the_walk(db: DatabaseHarness, keeping: MakeRetention) -> None:
    (task_id,) = db.submit(new_task())
    finish(db, task_id, "failed", ago_s=2 * HOUR)
    current = CurrentSettings(Settings(retention=RetentionSettings(succeeded_s=HOUR)))
    one = keeping(current)
    await run(one)
    assert left(db) == [task_id]

    current.apply_overrides({"retention.failed_s": HOUR})
    await run(one)

    assert left(db) == []


def test_concurrent_retentions_delete_each_task_once(db: DatabaseHarness) -> None:
    ids = db.submit(*[new_task() for _ in range(200)])
    db.sql("UPDATE task SET status = 'succeeded', finished_at = now() - interval '1 hour', delete_at = now()")

    def delete(number: int) -> int:
        if number % 2:
            return len(db.run(retention.delete_expired(), ids=ids, shortest_s=60.0))
        return len(db.run(retention.delete_due()))

    with ThreadPoolExecutor(8) as pool:
        deleted = list(pool.map(delete, range(16)))

    assert sum(deleted) == 200
    assert db.sql("SELECT count(*) FROM task_history WHERE to_status IS NULL")[0][0] == 200


def test_a_task_that_has_finished_again_meanwhile_is_kept(db: DatabaseHarness) -> None:
    (task_id,) = db.submit(new_task())
    finish(db, task_id, ago_s=0)

    assert db.run(retention.delete_expired(), ids=[task_id], shortest_s=60.0) == []


async def test_the_history_of_deleted_tasks_is_deleted_later(db: DatabaseHarness, keeping: MakeRetention) -> None:
    first, second = db.submit(new_task(), new_task())
    for task_id in (first, second):
        finish(db, task_id, ago_s=2 * HOUR)
    db.sql("UPDATE task_history SET at = at - interval '2 days'")
    one = keeping(succeeded_s=HOUR, history_s=24 * HOUR)

    await run(one)

    found: list[Any] = db.sql("SELECT task_id, to_status FROM task_history ORDER BY id")
    assert [tuple(row) for row in found] == [(first, None), (second, None)]
