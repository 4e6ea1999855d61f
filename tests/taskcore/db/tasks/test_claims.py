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


def test_a_claim_starts_the_next_attempt(stage: DatabaseHarness) -> None:
    (task_id,) = stage.submit(new_task(parameters={"a": 1}))

    (claimed,) = stage.claim([task_id])

    assert (claimed.attempt, claimed.parameters) == (1, {"a": 1})
    assert stage.history(task_id) == ["queued", "running"]
    assert not stage.sql("SELECT 1 FROM outbox")


def test_second_claim_gets_nothing(stage: DatabaseHarness) -> None:
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id])

    assert stage.claim([task_id]) == []
    assert stage.history(task_id) == ["queued", "running"]


def test_a_hundred_claims_at_once_run_it_once(stage: DatabaseHarness) -> None:
    (task_id,) = stage.submit(new_task())

    with ThreadPoolExecutor(16) as pool:
        claims_ = list(pool.map(lambda _: stage.claim([task_id]), range(100)))

    assert sum(len(rows) for rows in claims_) == 1
    assert stage.history(task_id) == ["queued", "running"]


def test_a_scheduled_task_is_not_claimed_before_its_time(stage: DatabaseHarness) -> None:
    (task_id,) = stage.submit(new_task(run_at=datetime.now(UTC) + timedelta(hours=1)))

    assert stage.status(task_id) == "scheduled"
    assert stage.claim([task_id]) == []

    stage.make_due(task_id)
    assert len(stage.claim([task_id])) == 1
    assert stage.history(task_id) == ["scheduled", "running"]


def test_a_stale_message_does_not_start_a_retrying_task_early(stage: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], token=token)
    stage.settle(task_id, 1, token, outcomes.retry_later("no luck", timedelta(hours=1)))

    assert stage.claim([task_id]) == []
    assert stage.status(task_id) == "retrying"


def test_a_claim_that_waited_while_the_task_failed_and_was_put_off_gets_nothing(stage: DatabaseHarness) -> None:
    """The stale claim sees the old outbox row in its snapshot; by the time it has the lock that row is gone."""
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    with stage.engine.connect().execution_options(isolation_level="READ COMMITTED") as holder:
        claim = {"short_ids": [], "types": ["noop"], "short_types": [], "incarnation": 1}
        holder.execute(claims.claim(), {"ids": [task_id], "worker": 1, "token": token, **claim})
        with ThreadPoolExecutor(1) as pool:
            stale = pool.submit(stage.claim, [task_id])
            stage.wait_for_blocked(1)
            put_off = "UPDATE task SET status = 'retrying', lease_token = NULL WHERE id = :id"
            holder.execute(text(put_off), {"id": task_id})
            later = (
                "INSERT INTO outbox (task_id, queue, priority, is_due, available_at) "
                "VALUES (:id, 'default', 0, false, now() + interval '1 hour')"
            )
            holder.execute(text(later), {"id": task_id})
            holder.commit()
            assert stale.result() == []

    assert stage.status(task_id) == "retrying"


def test_a_type_that_the_worker_lacks_is_left(stage: DatabaseHarness) -> None:
    (task_id,) = stage.submit(new_task(type="other"))

    assert stage.claim([task_id]) == []
    assert [row.id for row in stage.run(claims.still_due(), ids=[task_id])] == [task_id]

    stage.run(claims.postpone(), ids=[task_id])
    (row,) = stage.sql("SELECT is_due, dispatched_at, available_at > now() AS is_later FROM outbox")
    assert (row.is_due, row.dispatched_at, row.is_later) == (False, None, True)


def test_slots_for_short_tasks_take_short_types_only(stage: DatabaseHarness) -> None:
    any_, short, long = stage.submit(new_task(), new_task(type="quick"), new_task())

    claimed = stage.claim([any_], short_ids=[short, long], types=["noop", "quick"], short_types=["quick"])

    assert [row.id for row in claimed] == [any_, short]


def test_a_lost_answer_is_asked_for_by_its_token(stage: DatabaseHarness) -> None:
    token = uuid4()
    task_ids = stage.submit(new_task(), new_task())
    stage.claim(task_ids, token=token, worker=7)

    recalled = stage.run(claims.find_by_token(), token=token, worker=7)

    assert [(row.id, row.attempt) for row in recalled] == [(task_id, 1) for task_id in task_ids]
    assert stage.run(claims.find_by_token(), token=uuid4(), worker=7) == []


def test_of_a_cancel_and_a_claim_at_once_exactly_one_wins(stage: DatabaseHarness) -> None:
    task_ids = stage.submit(*[new_task() for _ in range(50)])

    with ThreadPoolExecutor(8) as pool:
        cancels = [pool.submit(stage.run, actions.cancel(), task=task_id, by="me", why=None) for task_id in task_ids]
        claimed = [pool.submit(stage.claim, [task_id]) for task_id in reversed(task_ids)]
        won = {row.id for future in cancels for row in future.result()}
        taken = {row.id for future in claimed for row in future.result()}

    assert won | taken == set(task_ids)
    assert not won & taken
    assert not stage.sql("SELECT 1 FROM outbox")


def test_batches_that_overlap_in_any_order_do_not_deadlock(stage: DatabaseHarness) -> None:
    task_ids = stage.submit(*[new_task() for _ in range(200)])
    shuffled = [random.Random(seed).sample(task_ids, 100) for seed in range(40)]

    with ThreadPoolExecutor(8) as pool:
        claimed = [row.id for rows in pool.map(stage.claim, shuffled) for row in rows]

    assert sorted(claimed) == sorted(set(claimed))
    assert set(claimed) == {task_id for ids in shuffled for task_id in ids}
