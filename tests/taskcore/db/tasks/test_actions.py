"""Asking running tasks to stop or to pause, and pausing waiting tasks and queues."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from taskcore.db.queues import loads, queues
from taskcore.db.tasks import actions
from taskcore.domain import outcomes
from taskcore.domain.outcomes import AttemptResult
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


def running(db: DatabaseHarness, token: UUID, **fields: object) -> int:
    (task_id,) = db.submit(new_task(**fields))
    db.claim([task_id], token=token)
    return task_id


def interrupt(db: DatabaseHarness, task_id: int) -> bool:
    return bool(db.run(actions.request_cancel(), task=task_id, by="me", why="too late"))


@pytest.mark.parametrize(
    "result",
    [
        outcomes.succeeded('{"n": 1}'),
        outcomes.failed("broken", "attempts_exhausted"),
        outcomes.retry_later("no luck", timedelta(0)),
        outcomes.released("worker_stopped"),
        outcomes.paused(),
    ],
)
def test_a_task_asked_to_stop_is_cancelled_however_its_attempt_ends(db: DatabaseHarness, result: AttemptResult) -> None:
    token = uuid4()
    db.register_type("noop")
    task_id = running(db, token)

    assert interrupt(db, task_id)
    assert not interrupt(db, task_id)

    assert db.settle(task_id, 1, token, result) == [task_id]
    (task,) = db.sql("SELECT status, reason, error, result FROM task")
    assert tuple(task) == ("cancelled", "cancelled", "too late", None)
    assert db.history(task_id) == ["queued", "running", "cancelling", "cancelled"]
    assert not db.sql("SELECT 1 FROM outbox")


def test_a_task_asked_to_stop_is_cancelled_when_its_worker_is_lost(db: DatabaseHarness) -> None:
    db.register_type("noop")
    task_id = running(db, uuid4())
    interrupt(db, task_id)

    assert db.rescue_orphans() == [task_id]

    assert db.status(task_id) == "cancelled"


def test_a_task_of_a_type_that_cannot_be_cancelled_continues(db: DatabaseHarness) -> None:
    db.register_type("noop", can_cancel=False)
    task_id = running(db, uuid4())

    assert not interrupt(db, task_id)

    assert db.status(task_id) == "running"


def test_exactly_one_of_a_concurrent_end_and_cancel_wins(db: DatabaseHarness) -> None:
    token = uuid4()
    db.register_type("noop")
    task_ids = [running(db, token) for _ in range(100)]

    with ThreadPoolExecutor(8) as pool:
        requested = [pool.submit(interrupt, db, task_id) for task_id in task_ids]
        ended = [pool.submit(db.settle, task_id, 1, token) for task_id in task_ids]

    assert all(one.result() for one in ended)
    for task_id, one in zip(task_ids, requested, strict=True):
        expected = ["cancelling", "cancelled"] if one.result() else ["succeeded"]
        assert db.history(task_id) == ["queued", "running", *expected]


def test_a_running_task_pauses_at_the_end_of_its_attempt_unless_finished(db: DatabaseHarness) -> None:
    token = uuid4()
    db.register_type("noop", can_pause=True)
    paused, finished, withdrawn = (running(db, token) for _ in range(3))
    for task_id in (paused, finished, withdrawn):
        assert db.run(actions.request_pause(), task=task_id, by="user:me", why="lunch")
    assert db.run(actions.withdraw_pause(), task=withdrawn, by="user:me")
    assert not db.run(actions.withdraw_pause(), task=withdrawn, by="user:me")

    db.settle(paused, 1, token, outcomes.released("worker_stopped"))
    db.settle(finished, 1, token)
    db.settle(withdrawn, 1, token, outcomes.released("worker_stopped"))

    assert [db.status(task_id) for task_id in (paused, finished, withdrawn)] == ["paused", "succeeded", "queued"]
    assert db.run(actions.resume(), task=paused, by="me")
    assert db.dispatch(5) == [paused, withdrawn]


def pause_of(db: DatabaseHarness, task_id: int) -> tuple[str | None, str | None]:
    (row,) = db.sql("SELECT pause_reason, paused_by FROM task WHERE id = :id", id=task_id)
    return row.pause_reason, row.paused_by


def test_reason_and_author_of_a_pause_are_kept_until_it_ends(db: DatabaseHarness) -> None:
    token = uuid4()
    db.register_type("noop", can_pause=True)
    paused, finished = running(db, token), running(db, token)
    for task_id in (paused, finished):
        db.run(actions.request_pause(), task=task_id, by="user:me", why="lunch")
        assert pause_of(db, task_id) == ("lunch", "user:me")

    db.settle(paused, 1, token, outcomes.paused_on_request())
    db.settle(finished, 1, token)

    assert pause_of(db, paused) == ("lunch", "user:me")
    assert pause_of(db, finished) == (None, None)
    columns = "from_status, to_status, actor, details"
    steps = db.sql(f"SELECT {columns} FROM task_history WHERE task_id = :id ORDER BY id", id=paused)
    assert [tuple(step) for step in steps[2:]] == [
        ("running", "running", "user:me", {"pause_requested": True, "reason": "lunch"}),
        ("running", "paused", "worker:1", {"outcome": "paused", "pause_reason": "lunch", "paused_by": "user:me"}),
    ]
    db.run(actions.resume(), task=paused, by="user:me")
    assert pause_of(db, paused) == (None, None)


def test_a_task_whose_pause_was_withdrawn_is_queued_again(db: DatabaseHarness) -> None:
    db.register_type("noop", can_pause=True)
    token = uuid4()
    (task_id,) = db.submit(new_task())
    db.claim([task_id], token=token)
    assert db.run(actions.request_pause(), task=task_id, by="user:me", why="lunch")
    assert db.run(actions.withdraw_pause(), task=task_id, by="user:me")

    db.settle(task_id, 1, token, outcomes.paused_on_request())

    assert db.status(task_id) == "queued"
    assert db.dispatch(1) == [task_id]


def test_only_types_that_can_pause_are_asked_to(db: DatabaseHarness) -> None:
    db.register_type("noop")
    task_id = running(db, uuid4())

    assert not db.run(actions.request_pause(), task=task_id, by="user:me", why="lunch")


def test_an_earlier_message_does_not_claim_a_paused_task(db: DatabaseHarness) -> None:
    (task_id,) = db.submit(new_task())
    db.dispatch(1)

    assert db.run(actions.pause(), task=task_id, by="me", why=None)

    assert db.claim([task_id]) == []
    assert db.status(task_id) == "paused"


def test_exactly_one_of_a_concurrent_claim_and_pause_wins(db: DatabaseHarness) -> None:
    task_ids = db.submit(*[new_task() for _ in range(100)])

    with ThreadPoolExecutor(8) as pool:
        claims = [pool.submit(db.claim, [task_id]) for task_id in task_ids]
        pauses = [pool.submit(db.run, actions.pause(), task=task_id, by="me", why=None) for task_id in task_ids]

    for task_id, claimed, paused in zip(task_ids, claims, pauses, strict=True):
        assert len(claimed.result()) + len(paused.result()) == 1
        assert db.status(task_id) == ("running" if claimed.result() else "paused")


def test_nothing_of_a_paused_queue_is_dispatched_or_claimed(db: DatabaseHarness) -> None:
    sent, waiting = db.submit(new_task(), new_task())
    (other,) = db.submit(new_task(queue="other"))
    db.dispatch(1)

    db.run(queues.pause_queue(), of="default", why="moving house", by="me")

    assert [row.id for row in db.claim([sent, waiting, other])] == [other]
    assert (db.status(sent), db.dispatch(5)) == ("queued", [])
    db.run(queues.resume_queue(), of="default")
    assert db.dispatch(5) == [waiting]
    assert len(db.claim([sent, waiting])) == 2


def test_the_relay_sees_no_backlog_in_a_paused_queue(db: DatabaseHarness) -> None:
    db.submit(new_task())
    db.run(queues.pause_queue(), of="default", why=None, by="me")
    (paused,) = db.run(loads.queue_loads())
    db.run(queues.resume_queue(), of="default")

    (resumed,) = db.run(loads.queue_loads())

    assert (paused.head_type, resumed.head_type) == (None, "noop")
