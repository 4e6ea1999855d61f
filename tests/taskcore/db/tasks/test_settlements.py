"""Settling and returning: an attempt ends once, and only by who holds it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy.exc import DBAPIError

from taskcore.db.tasks import actions
from taskcore.db.workers import leases
from taskcore.domain import outcomes
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


def test_a_result_is_kept_with_its_task_history_and_attempt(stage: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], token=token, worker=3)

    assert stage.settle(task_id, 1, token, outcomes.succeeded('{"n": 1}'), worker=3) == [task_id]

    (task,) = stage.sql("SELECT *, finished_at - started_at AS ran FROM task")
    assert (task.status, task.result, task.lease_token, task.ran) == (
        "succeeded",
        {"n": 1},
        None,
        timedelta(seconds=0.1),
    )
    assert stage.history(task_id) == ["queued", "running", "succeeded"]
    (attempt,) = stage.sql("SELECT * FROM task_attempt")
    assert (attempt.task_id, attempt.attempt, attempt.worker_id, attempt.outcome) == (task_id, 1, 3, "succeeded")


@pytest.mark.parametrize(("attempt", "is_right_token"), [(2, True), (1, False)])
def test_an_end_that_names_another_attempt_or_token_is_refused(
    stage: DatabaseHarness, attempt: int, is_right_token: bool
) -> None:
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], token=token)

    assert stage.settle(task_id, attempt, token if is_right_token else uuid4()) == []
    assert stage.status(task_id) == "running"
    assert not stage.sql("SELECT 1 FROM task_attempt")


def test_settling_twice_counts_once(stage: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], token=token)

    with ThreadPoolExecutor(8) as pool:
        settled = list(pool.map(lambda _: stage.settle(task_id, 1, token), range(20)))

    assert sorted(map(len, settled)) == [0] * 19 + [1]
    assert stage.history(task_id) == ["queued", "running", "succeeded"]


def test_a_failure_with_attempts_left_waits_in_the_outbox(stage: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = stage.submit(new_task(priority=7))
    stage.claim([task_id], token=token)

    stage.settle(task_id, 1, token, outcomes.retry_later("no luck", timedelta(minutes=5)))

    (row,) = stage.sql("SELECT *, available_at - now() > interval '4 minutes' AS is_far FROM outbox")
    assert (row.task_id, row.priority, row.is_due, row.is_far) == (task_id, 7, False, True)
    (task,) = stage.sql("SELECT status, failures, error FROM task")
    assert tuple(task) == ("retrying", 1, "no luck")


def test_a_bad_document_spoils_the_whole_statement_and_writes_nothing(stage: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], token=token)

    with pytest.raises(DBAPIError):
        stage.settle(task_id, 1, token, outcomes.succeeded('"\\u0000"'))

    assert stage.status(task_id) == "running"


def test_what_a_stopping_worker_gives_back_costs_nothing(stage: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], token=token)

    stage.settle(task_id, 1, token, outcomes.released("worker_stopped"))

    (task,) = stage.sql("SELECT status, failures, worker_losses, attempt FROM task")
    assert tuple(task) == ("queued", 0, 0, 1)
    assert stage.settle(task_id, 1, token) == []
    assert [row.attempt for row in stage.claim([task_id])] == [2]


def test_tasks_of_a_worker_whose_lease_ran_out_go_back(stage: DatabaseHarness) -> None:
    token, other = uuid4(), uuid4()
    dead, live = stage.register_worker(lease_s=30), stage.register_worker(lease_s=30)
    lost, kept = stage.submit(new_task(), new_task())
    stage.claim([lost], worker=dead, token=token)
    stage.claim([kept], worker=live, token=other)
    stage.sql("UPDATE worker SET seen_at = now() - interval '31 seconds' WHERE id = :id", id=dead)

    assert [row.id for row in stage.run(leases.delete_expired_workers())] == [dead]
    assert stage.rescue_orphans() == [lost]

    assert stage.settle(lost, 1, token, worker=dead) == []
    assert stage.settle(kept, 1, other, worker=live) == [kept]
    (task,) = stage.sql("SELECT status, failures, worker_losses FROM task WHERE id = :id", id=lost)
    assert tuple(task) == ("queued", 0, 1)


def test_a_task_that_is_lost_too_often_fails(stage: DatabaseHarness) -> None:
    (task_id,) = stage.submit(new_task())

    for _ in range(outcomes.MAX_WORKER_LOSSES):
        stage.claim([task_id], worker=99)
        stage.rescue_orphans()

    (task,) = stage.sql("SELECT status, reason, worker_losses FROM task")
    assert tuple(task) == ("failed", "worker_lost", outcomes.MAX_WORKER_LOSSES)
    assert not stage.sql("SELECT 1 FROM outbox")


def test_only_what_the_dead_process_held_is_returned(stage: DatabaseHarness) -> None:
    mine, others = stage.submit(new_task(), new_task())
    stage.claim([mine], worker=5, incarnation=1)
    stage.claim([others], worker=5, incarnation=2)

    rows = stage.run(leases.held_by_executor(), worker=5, incarnation=1)

    assert stage.settle_as_lost(rows, by="worker:5") == [mine]
    assert stage.status(others) == "running"


def test_a_failed_task_retried_by_hand_has_all_its_attempts_again(stage: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = stage.submit(new_task(max_attempts=1))
    stage.claim([task_id], token=token)
    stage.settle(task_id, 1, token, outcomes.failed("broken", "attempts_exhausted"))

    assert len(stage.run(actions.retry(), task=task_id, by="me")) == 1

    (task,) = stage.sql("SELECT status, failures, error, attempt FROM task")
    assert tuple(task) == ("queued", 0, None, 1)
    assert [row.attempt for row in stage.claim([task_id])] == [2]
    assert stage.history(task_id) == ["queued", "running", "failed", "queued", "running"]


def test_a_running_task_is_not_deleted_and_a_finished_one_leaves_its_history(stage: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], token=token)
    assert stage.run(actions.delete_task(), task=task_id, by="me") == []
    stage.settle(task_id, 1, token)

    assert len(stage.run(actions.delete_task(), task=task_id, by="me")) == 1

    assert stage.history(task_id) == ["queued", "running", "succeeded", None]
