"""The claim: one worker gets the right to an attempt, and only when the task is due."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import text

from taskcore.db.tasks import actions, claims
from taskcore.domain import outcomes
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


def test_a_claim_starts_the_next_attempt(db: DatabaseHarness) -> None:
    (task_id,) = db.submit(new_task(parameters={"a": 1}))

    (claimed,) = db.claim([task_id])

    assert (claimed.attempt, claimed.parameters) == (1, {"a": 1})
    assert db.history(task_id) == ["queued", "running"]
    assert not db.sql("SELECT 1 FROM outbox")


def test_second_claim_gets_nothing(db: DatabaseHarness) -> None:
    (task_id,) = db.submit(new_task())
    db.claim([task_id])

    assert db.claim([task_id]) == []
    assert db.history(task_id) == ["queued", "running"]


def test_a_hundred_claims_at_once_run_it_once(db: DatabaseHarness) -> None:
    (task_id,) = db.submit(new_task())

    with ThreadPoolExecutor(16) as pool:
        claims_ = list(pool.map(lambda _: db.claim([task_id]), range(100)))

    assert sum(len(rows) for rows in claims_) == 1
    assert db.history(task_id) == ["queued", "running"]


def test_a_scheduled_task_is_not_claimed_before_its_time(db: DatabaseHarness) -> None:
    (task_id,) = db.submit(new_task(run_at=datetime.now(UTC) + timedelta(hours=1)))

    assert db.status(task_id) == "scheduled"
    assert db.claim([task_id]) == []

    db.make_due(task_id)
    assert len(db.claim([task_id])) == 1
    assert db.history(task_id) == ["scheduled", "running"]


def test_a_stale_message_does_not_start_a_retrying_task_early(db: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = db.submit(new_task())
    db.claim([task_id], token=token)
    db.settle(task_id, 1, token, outcomes.retry_later("no luck", timedelta(hours=1)))

    assert db.claim([task_id]) == []
    assert db.status(task_id) == "retrying"


def test_a_claim_that_waited_while_the_task_was_rescheduled_gets_nothing(db: DatabaseHarness) -> None:
    """The stale claim sees the old outbox row in its snapshot; by the time it has the lock that row is gone."""
    token = uuid4()
    (task_id,) = db.submit(new_task())
    with db.engine.connect().execution_options(isolation_level="READ COMMITTED") as holder:
        claim = {"short_ids": [], "types": ["noop"], "short_types": [], "incarnation": 1}
        holder.execute(claims.claim(), {"ids": [task_id], "worker": 1, "token": token, **claim})
        with ThreadPoolExecutor(1) as pool:
            stale = pool.submit(db.claim, [task_id])
            db.wait_for_blocked(1)
            put_off = "UPDATE task SET status = 'retrying', lease_token = NULL WHERE id = :id"
            holder.execute(text(put_off), {"id": task_id})
            later = (
                "INSERT INTO outbox (task_id, queue, type, priority, is_due, available_at) "
                "VALUES (:id, 'default', 'noop', 0, false, now() + interval '1 hour')"
            )
            holder.execute(text(later), {"id": task_id})
            holder.commit()
            assert stale.result() == []

    assert db.status(task_id) == "retrying"


def test_a_task_of_an_unknown_type_is_not_claimed(db: DatabaseHarness) -> None:
    (task_id,) = db.submit(new_task(type="other"))

    assert db.claim([task_id]) == []
    assert [row.id for row in db.run(claims.still_due(), ids=[task_id])] == [task_id]

    db.run(claims.postpone(), ids=[task_id])
    (row,) = db.sql("SELECT is_due, dispatched_at, available_at > now() AS is_later FROM outbox")
    assert (row.is_due, row.dispatched_at, row.is_later) == (False, None, True)


def test_slots_for_short_tasks_take_short_types_only(db: DatabaseHarness) -> None:
    any_, short, long = db.submit(new_task(), new_task(type="quick"), new_task())

    claimed = db.claim([any_], short_ids=[short, long], types=["noop", "quick"], short_types=["quick"])

    assert [row.id for row in claimed] == [any_, short]


def test_a_claim_whose_reply_was_lost_is_found_by_its_token(db: DatabaseHarness) -> None:
    token = uuid4()
    task_ids = db.submit(new_task(), new_task())
    db.claim(task_ids, token=token, worker=7)

    recalled = db.run(claims.find_by_token(), token=token, worker=7)

    assert [(row.id, row.attempt) for row in recalled] == [(task_id, 1) for task_id in task_ids]
    assert db.run(claims.find_by_token(), token=uuid4(), worker=7) == []


def test_exactly_one_of_a_concurrent_cancel_and_claim_wins(db: DatabaseHarness) -> None:
    task_ids = db.submit(*[new_task() for _ in range(50)])

    with ThreadPoolExecutor(8) as pool:
        cancels = [pool.submit(db.run, actions.cancel(), task=task_id, by="me", why=None) for task_id in task_ids]
        claimed = [pool.submit(db.claim, [task_id]) for task_id in reversed(task_ids)]
        won = {row.id for future in cancels for row in future.result()}
        taken = {row.id for future in claimed for row in future.result()}

    assert won | taken == set(task_ids)
    assert not won & taken
    assert not db.sql("SELECT 1 FROM outbox")


def test_overlapping_batches_do_not_deadlock(db: DatabaseHarness) -> None:
    task_ids = db.submit(*[new_task() for _ in range(200)])
    shuffled = [random.Random(seed).sample(task_ids, 100) for seed in range(40)]

    with ThreadPoolExecutor(8) as pool:
        claimed = [row.id for rows in pool.map(db.claim, shuffled) for row in rows]

    assert sorted(claimed) == sorted(set(claimed))
    assert set(claimed) == {task_id for ids in shuffled for task_id in ids}
