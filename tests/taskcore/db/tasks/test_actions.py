"""Telling running tasks to stop or to pause, and pausing tasks and queues that wait."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from taskcore.db.queues import outbox, queues
from taskcore.db.tasks import actions
from taskcore.domain import outcomes
from taskcore.domain.outcomes import AttemptResult
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


def running(stage: DatabaseHarness, token: UUID, **fields: object) -> int:
    (task_id,) = stage.submit(new_task(**fields))
    stage.claim([task_id], token=token)
    return task_id


def interrupt(stage: DatabaseHarness, task_id: int) -> bool:
    return bool(stage.run(actions.request_cancel(), task=task_id, by="me", why="too late"))


@pytest.mark.parametrize(
    "verdict",
    [
        outcomes.succeeded('{"n": 1}'),
        outcomes.failed("broken", "attempts_exhausted"),
        outcomes.retry_later("no luck", timedelta(0)),
        outcomes.released("worker_stopped"),
        outcomes.paused(),
    ],
)
def test_a_task_that_was_told_to_stop_is_cancelled_however_its_attempt_ends(
    stage: DatabaseHarness, verdict: AttemptResult
) -> None:
    token = uuid4()
    stage.register_type("noop")
    task_id = running(stage, token)

    assert interrupt(stage, task_id)
    assert not interrupt(stage, task_id)

    assert stage.settle(task_id, 1, token, verdict) == [task_id]
    (task,) = stage.sql("SELECT status, reason, error, result FROM task")
    assert tuple(task) == ("cancelled", "cancelled", "too late", None)
    assert stage.history(task_id) == ["queued", "running", "cancelling", "cancelled"]
    assert not stage.sql("SELECT 1 FROM outbox")


def test_a_task_that_was_told_to_stop_and_lost_its_worker_is_cancelled(stage: DatabaseHarness) -> None:
    stage.register_type("noop")
    task_id = running(stage, uuid4())
    interrupt(stage, task_id)

    assert stage.rescue_orphans() == [task_id]

    assert stage.status(task_id) == "cancelled"


def test_what_cannot_be_stopped_goes_on(stage: DatabaseHarness) -> None:
    stage.register_type("noop", can_cancel=False)
    task_id = running(stage, uuid4())

    assert not interrupt(stage, task_id)

    assert stage.status(task_id) == "running"


def test_an_end_and_a_cancel_at_once_are_one_of_both(stage: DatabaseHarness) -> None:
    token = uuid4()
    stage.register_type("noop")
    task_ids = [running(stage, token) for _ in range(100)]

    with ThreadPoolExecutor(8) as pool:
        told = [pool.submit(interrupt, stage, task_id) for task_id in task_ids]
        ended = [pool.submit(stage.settle, task_id, 1, token) for task_id in task_ids]

    assert all(one.result() for one in ended)
    for task_id, one in zip(task_ids, told, strict=True):
        expected = ["cancelling", "cancelled"] if one.result() else ["succeeded"]
        assert stage.history(task_id) == ["queued", "running", *expected]


def test_a_running_task_pauses_at_its_end_if_it_is_not_over(stage: DatabaseHarness) -> None:
    token = uuid4()
    stage.register_type("noop", can_pause=True)
    paused, over, withdrawn = (running(stage, token) for _ in range(3))
    for task_id in (paused, over, withdrawn):
        assert stage.run(actions.request_pause(), task=task_id)
    assert stage.run(actions.withdraw_pause(), task=withdrawn)
    assert not stage.run(actions.withdraw_pause(), task=withdrawn)

    stage.settle(paused, 1, token, outcomes.released("worker_stopped"))
    stage.settle(over, 1, token)
    stage.settle(withdrawn, 1, token, outcomes.released("worker_stopped"))

    assert [stage.status(task_id) for task_id in (paused, over, withdrawn)] == ["paused", "succeeded", "queued"]
    assert stage.run(actions.resume(), task=paused, by="me")
    assert stage.dispatch(5) == [paused, withdrawn]


def test_a_pause_that_was_taken_back_when_its_task_has_obeyed_is_none(stage: DatabaseHarness) -> None:
    stage.register_type("noop", can_pause=True)
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], token=token)
    assert stage.run(actions.request_pause(), task=task_id)
    assert stage.run(actions.withdraw_pause(), task=task_id)

    stage.settle(task_id, 1, token, outcomes.paused_on_request())

    assert stage.status(task_id) == "queued"
    assert stage.dispatch(1) == [task_id]


def test_only_a_type_that_can_go_on_later_is_asked_to_pause(stage: DatabaseHarness) -> None:
    stage.register_type("noop")
    task_id = running(stage, uuid4())

    assert not stage.run(actions.request_pause(), task=task_id)


def test_a_paused_task_is_not_claimed_by_a_message_that_was_sent_before(stage: DatabaseHarness) -> None:
    (task_id,) = stage.submit(new_task())
    stage.dispatch(1)

    assert stage.run(actions.pause(), task=task_id, by="me", why=None)

    assert stage.claim([task_id]) == []
    assert stage.status(task_id) == "paused"


def test_of_a_claim_and_a_pause_at_once_one_is_made(stage: DatabaseHarness) -> None:
    task_ids = stage.submit(*[new_task() for _ in range(100)])

    with ThreadPoolExecutor(8) as pool:
        claims = [pool.submit(stage.claim, [task_id]) for task_id in task_ids]
        pauses = [pool.submit(stage.run, actions.pause(), task=task_id, by="me", why=None) for task_id in task_ids]

    for task_id, claimed, paused in zip(task_ids, claims, pauses, strict=True):
        assert len(claimed.result()) + len(paused.result()) == 1
        assert stage.status(task_id) == ("running" if claimed.result() else "paused")


def test_of_a_paused_queue_nothing_is_sent_or_claimed(stage: DatabaseHarness) -> None:
    sent, waiting = stage.submit(new_task(), new_task())
    (other,) = stage.submit(new_task(queue="other"))
    stage.dispatch(1)

    stage.run(queues.pause_queue(), of="default", why="moving house", by="me")

    assert [row.id for row in stage.claim([sent, waiting, other])] == [other]
    assert (stage.status(sent), stage.dispatch(5)) == ("queued", [])
    stage.run(queues.resume_queue(), of="default")
    assert stage.dispatch(5) == [waiting]
    assert len(stage.claim([sent, waiting])) == 2


def test_the_relay_sees_no_backlog_in_a_paused_queue(stage: DatabaseHarness) -> None:
    stage.submit(new_task())
    stage.run(queues.pause_queue(), of="default", why=None, by="me")
    (paused,) = stage.run(outbox.queue_loads())
    stage.run(queues.resume_queue(), of="default")

    (resumed,) = stage.run(outbox.queue_loads())

    assert (paused.has_backlog, resumed.has_backlog) == (False, True)
