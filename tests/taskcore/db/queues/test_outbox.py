"""The outbox: what is dispatched next, and what must be dispatched again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Executable, text

from taskcore.db.queues import loads, outbox
from taskcore.db.tasks import claims
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


def test_higher_priority_is_dispatched_first_then_older_tasks(db: DatabaseHarness) -> None:
    low, old, young, high = db.submit(new_task(priority=-5), new_task(), new_task(), new_task(priority=100))

    assert db.dispatch(3) == [high, old, young]
    assert db.dispatch(3) == [low]
    assert db.dispatch(3) == []


def test_two_concurrent_relays_dispatch_each_row_once(db: DatabaseHarness) -> None:
    task_ids = db.submit(*[new_task() for _ in range(500)])

    with ThreadPoolExecutor(4) as pool:
        sent = [task_id for ids in pool.map(lambda _: db.dispatch(50), range(20)) for task_id in ids]

    assert sorted(sent) == sorted(task_ids)


def test_a_delayed_task_is_not_dispatched_early(db: DatabaseHarness) -> None:
    (task_id,) = db.submit(new_task(run_at=datetime.now(UTC) + timedelta(hours=1)))
    assert db.run(outbox.promote_due()) == []
    assert db.dispatch(1) == []
    ((wait,),) = db.run(outbox.next_due())
    assert 3500 < wait <= 3600

    db.make_due(task_id)

    assert len(db.run(outbox.promote_due())) == 1
    assert db.dispatch(1) == [task_id]


def test_unconfirmed_messages_are_dispatched_again(db: DatabaseHarness) -> None:
    task_ids = db.submit(new_task(), new_task())
    db.dispatch(2)

    db.run(outbox.undispatch(), ids=task_ids[:1])

    assert db.dispatch(2) == task_ids[:1]


def test_messages_that_the_broker_no_longer_has_count_as_lost_after_a_while(db: DatabaseHarness) -> None:
    first, second, third = db.submit(new_task(), new_task(), new_task())
    for _ in range(3):
        db.dispatch(1)
    db.sql("UPDATE outbox SET dispatched_at = dispatched_at - interval '20 seconds'")

    assert db.run(outbox.undispatch_lost(), of="default", ready=0, after_s=30.0) == []
    lost = db.run(outbox.undispatch_lost(), of="default", ready=2, after_s=15.0)

    assert [row.task_id for row in lost] == [first]
    assert db.dispatch(3) == [first]
    assert {second, third} == {
        row.task_id for row in db.run(outbox.undispatch_lost(), of="default", ready=1, after_s=0.0)
    } | {third}


def test_each_redelivery_doubles_the_timeout(db: DatabaseHarness) -> None:
    db.submit(new_task())
    db.dispatch(1)
    db.sql("UPDATE outbox SET dispatched_at = now() - interval '20 seconds', redeliveries = 1")

    assert db.run(outbox.undispatch_lost(), of="default", ready=0, after_s=15.0) == []


def test_queue_loads_show_backlog_messages_in_flight_and_live_slots(db: DatabaseHarness) -> None:
    db.submit(*[new_task() for _ in range(3)], new_task(queue="other"))
    db.register_worker(queues=["default"])
    db.dispatch(2)

    rows = {row.name: (row.head_type, row.in_flight, row.live_slots) for row in db.run(loads.queue_loads())}

    assert rows == {"default": ("noop", 2, 8), "other": ("noop", 0, 0)}


def test_a_missing_outbox_row_is_restored(db: DatabaseHarness) -> None:
    lost, kept = db.submit(new_task(), new_task())
    db.sql("DELETE FROM outbox WHERE task_id = :id", id=lost)

    rows = db.run(outbox.restore_missing_rows(), after_id=0, until_id=kept)

    assert [row.task_id for row in rows] == [lost]
    assert len(db.claim([lost, kept])) == 2


def test_a_missing_outbox_row_of_a_delayed_task_is_restored_with_its_delay(db: DatabaseHarness) -> None:
    (later,) = db.submit(new_task(run_at=datetime.now(UTC) + timedelta(hours=1)))
    db.sql("DELETE FROM outbox")

    db.run(outbox.restore_missing_rows(), after_id=0, until_id=later)

    ((is_due, due_in),) = db.sql("SELECT is_due, available_at - now() FROM outbox")
    assert not is_due
    assert due_in > timedelta(minutes=50)


def test_submitting_an_idempotency_key_again_stores_nothing(db: DatabaseHarness) -> None:
    db.submit(new_task(idempotency_key="k", fingerprint="f"))

    assert db.submit(new_task(idempotency_key="k", fingerprint="f"), new_task()) != []

    assert db.sql("SELECT count(*) FROM task")[0][0] == 2
    assert db.sql("SELECT count(*) FROM outbox")[0][0] == 2


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        (outbox.undispatch_lost(), {"of": "default", "ready": 0, "after_s": -60.0}),
        (outbox.undispatch_all(), {}),
        (outbox.undispatch(), {"ids": [2, 1]}),
        (claims.postpone(), {"ids": [2, 1]}),
    ],
)
def test_messages_are_recalled_while_their_tasks_are_claimed_without_a_deadlock(
    db: DatabaseHarness, statement: Executable, parameters: dict[str, Any]
) -> None:
    first, second = db.submit(new_task(), new_task())
    db.sql("UPDATE outbox SET dispatched_at = now() - (task_id - 1) * interval '1 minute'")
    claim = "DELETE FROM outbox WHERE task_id = :id"

    with ThreadPoolExecutor(1) as pool, db.transaction() as claimer:
        claimer.execute(text(claim), {"id": first})
        recalled = pool.submit(db.run, statement, **parameters)
        db.wait_for_blocked(1, recalled.done)
        claimer.execute(text(claim), {"id": second})
        claimer.commit()
        recalled.result(60)

    assert db.sql("SELECT task_id FROM outbox") == []
