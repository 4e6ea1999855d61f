"""Settlements: an attempt ends once, and only its holder can end it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy.exc import DBAPIError

from taskcore.db.tasks import actions
from taskcore.db.workers import leases
from taskcore.domain import outcomes
from taskcore.domain.outcomes import RELEASES_UNTIL_ISOLATED, Reason
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


def test_a_result_is_stored_with_history_and_attempt(db: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = db.submit(new_task())
    db.claim([task_id], token=token, worker=3)

    assert db.settle(task_id, 1, token, outcomes.succeeded('{"n": 1}'), worker=3) == [task_id]

    (task,) = db.sql("SELECT *, finished_at - started_at AS ran FROM task")
    assert (task.status, task.result, task.lease_token, task.ran) == (
        "succeeded",
        {"n": 1},
        None,
        timedelta(seconds=0.1),
    )
    assert db.history(task_id) == ["queued", "running", "succeeded"]
    (attempt,) = db.sql("SELECT * FROM task_attempt")
    assert (attempt.task_id, attempt.attempt, attempt.worker_id, attempt.outcome) == (task_id, 1, 3, "succeeded")


@pytest.mark.parametrize(("attempt", "is_right_token"), [(2, True), (1, False)])
def test_a_settlement_with_another_attempt_or_token_is_refused(
    db: DatabaseHarness, attempt: int, is_right_token: bool
) -> None:
    token = uuid4()
    (task_id,) = db.submit(new_task())
    db.claim([task_id], token=token)

    assert db.settle(task_id, attempt, token if is_right_token else uuid4()) == []
    assert db.status(task_id) == "running"
    assert not db.sql("SELECT 1 FROM task_attempt")


def test_settling_twice_counts_once(db: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = db.submit(new_task())
    db.claim([task_id], token=token)

    with ThreadPoolExecutor(8) as pool:
        settled = list(pool.map(lambda _: db.settle(task_id, 1, token), range(20)))

    assert sorted(map(len, settled)) == [0] * 19 + [1]
    assert db.history(task_id) == ["queued", "running", "succeeded"]


def test_a_failure_with_attempts_left_waits_in_the_outbox(db: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = db.submit(new_task(priority=7))
    db.claim([task_id], token=token)

    db.settle(task_id, 1, token, outcomes.retry_later("no luck", timedelta(minutes=5)))

    (row,) = db.sql("SELECT *, available_at - now() > interval '4 minutes' AS is_far FROM outbox")
    assert (row.task_id, row.priority, row.is_due, row.is_far) == (task_id, 7, False, True)
    (task,) = db.sql("SELECT status, failures, error FROM task")
    assert tuple(task) == ("retrying", 1, "no luck")


def test_an_invalid_document_fails_the_whole_statement(db: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = db.submit(new_task())
    db.claim([task_id], token=token)

    with pytest.raises(DBAPIError):
        db.settle(task_id, 1, token, outcomes.succeeded('"\\u0000"'))

    assert db.status(task_id) == "running"


def test_tasks_released_by_a_stopping_worker_cost_nothing(db: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = db.submit(new_task())
    db.claim([task_id], token=token)

    db.settle(task_id, 1, token, outcomes.released("worker_stopped"))

    (task,) = db.sql("SELECT status, failures, worker_losses, attempt FROM task")
    assert tuple(task) == ("queued", 0, 0, 1)
    assert db.settle(task_id, 1, token) == []
    assert [row.attempt for row in db.claim([task_id])] == [2]


@pytest.mark.parametrize("away", ["1 hour", "-1 hour"])
def test_no_lease_expires_when_the_clock_is_set_before_the_statement(db: DatabaseHarness, away: str) -> None:
    db.register_worker(lease_s=30)
    db.sql("UPDATE worker SET seen_at = now() - interval '31 seconds'")
    (clock,) = db.sql("SELECT now() + cast(:away AS interval) AS now", away=away)

    assert db.run(leases.delete_expired_workers(), now=clock.now, tolerance_s=5.0) == []


def test_a_lease_from_before_the_clock_was_set_back_expires(db: DatabaseHarness) -> None:
    dead = db.register_worker(lease_s=30)
    db.sql("UPDATE worker SET seen_at = now() + interval '31 seconds'")

    assert db.delete_expired_workers() == [dead]


def test_tasks_of_a_worker_with_an_expired_lease_are_requeued(db: DatabaseHarness) -> None:
    token, other = uuid4(), uuid4()
    dead, live = db.register_worker(lease_s=30), db.register_worker(lease_s=30)
    lost, kept = db.submit(new_task(), new_task())
    db.claim([lost], worker=dead, token=token)
    db.claim([kept], worker=live, token=other)
    db.sql("UPDATE worker SET seen_at = now() - interval '31 seconds' WHERE id = :id", id=dead)

    assert db.delete_expired_workers() == [dead]
    assert db.rescue_orphans() == [lost]

    assert db.settle(lost, 1, token, worker=dead) == []
    assert db.settle(kept, 1, other, worker=live) == [kept]
    (task,) = db.sql("SELECT status, failures, worker_losses FROM task WHERE id = :id", id=lost)
    assert tuple(task) == ("queued", 0, 1)


def test_a_task_that_loses_too_many_workers_fails(db: DatabaseHarness) -> None:
    (task_id,) = db.submit(new_task())

    for _ in range(outcomes.MAX_WORKER_LOSSES):
        db.claim([task_id], worker=99)
        db.rescue_orphans()

    (task,) = db.sql("SELECT status, reason, worker_losses FROM task")
    assert tuple(task) == ("failed", "worker_lost", outcomes.MAX_WORKER_LOSSES)
    assert not db.sql("SELECT 1 FROM outbox")


def test_only_attempts_of_the_dead_process_are_listed(db: DatabaseHarness) -> None:
    mine, others = db.submit(new_task(), new_task())
    db.claim([mine], worker=5, incarnation=1)
    db.claim([others], worker=5, incarnation=2)

    rows = db.run(leases.held_by_executor(), worker=5, incarnation=1)

    assert db.settle_as_lost(rows, by="worker:5") == [mine]
    assert db.status(others) == "running"


def test_a_failed_task_that_is_retried_has_all_its_attempts_again(db: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = db.submit(new_task(max_attempts=1))
    db.claim([task_id], token=token)
    db.settle(task_id, 1, token, outcomes.failed("broken", "attempts_exhausted"))

    assert len(db.run(actions.retry(), task=task_id, by="me")) == 1

    (task,) = db.sql("SELECT status, failures, error, attempt FROM task")
    assert tuple(task) == ("queued", 0, None, 1)
    assert [row.attempt for row in db.claim([task_id])] == [2]
    assert db.history(task_id) == ["queued", "running", "failed", "queued", "running"]


def test_a_running_task_cannot_be_deleted_and_a_finished_one_leaves_its_history(db: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = db.submit(new_task())
    db.claim([task_id], token=token)
    assert db.run(actions.delete_task(), task=task_id, by="me") == []
    db.settle(task_id, 1, token)

    assert len(db.run(actions.delete_task(), task=task_id, by="me")) == 1

    assert db.history(task_id) == ["queued", "running", "succeeded", None]


def release(db: DatabaseHarness, task_id: int, reason: Reason = Reason.WORKER_STOPPED) -> bool:
    """Let the next attempt of the task be released. Return whether the one after it is isolated."""
    db.run_to_end(task_id, outcomes.released(reason))
    return bool(db.sql("SELECT isolated FROM task WHERE id = :id", id=task_id)[0].isolated)


def test_task_whose_attempts_end_again_and_again_with_their_process_is_isolated(db: DatabaseHarness) -> None:
    (task_id,) = db.submit(new_task())

    assert [release(db, task_id) for _ in range(RELEASES_UNTIL_ISOLATED)] == [False, False, True]


def test_attempt_that_ends_by_itself_interrupts_the_row_of_releases(db: DatabaseHarness) -> None:
    (task_id,) = db.submit(new_task())
    release(db, task_id)
    release(db, task_id)
    db.run_to_end(task_id, outcomes.retry_later("no luck", timedelta(0)))

    assert not release(db, task_id)


def test_releases_for_other_reasons_do_not_isolate(db: DatabaseHarness) -> None:
    (task_id,) = db.submit(new_task())

    assert not any(release(db, task_id, Reason.OVERDUE) for _ in range(5))
