"""The outbox: what is sent next, and what must be sent again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from taskcore.db.queues import outbox
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


def test_higher_priority_is_sent_first_and_older_first_within_one(stage: DatabaseHarness) -> None:
    low, old, young, high = stage.submit(new_task(priority=-5), new_task(), new_task(), new_task(priority=100))

    assert stage.dispatch(3) == [high, old, young]
    assert stage.dispatch(3) == [low]
    assert stage.dispatch(3) == []


def test_two_relays_at_once_send_each_row_once(stage: DatabaseHarness) -> None:
    task_ids = stage.submit(*[new_task() for _ in range(500)])

    with ThreadPoolExecutor(4) as pool:
        sent = [task_id for ids in pool.map(lambda _: stage.dispatch(50), range(20)) for task_id in ids]

    assert sorted(sent) == sorted(task_ids)


def test_a_delay_is_not_sent_before_its_time(stage: DatabaseHarness) -> None:
    (task_id,) = stage.submit(new_task(run_at=datetime.now(UTC) + timedelta(hours=1)))
    assert stage.run(outbox.promote_due()) == []
    assert stage.dispatch(1) == []
    ((wait,),) = stage.run(outbox.next_due())
    assert 3500 < wait <= 3600

    stage.make_due(task_id)

    assert len(stage.run(outbox.promote_due())) == 1
    assert stage.dispatch(1) == [task_id]


def test_unconfirmed_messages_are_sent_again(stage: DatabaseHarness) -> None:
    task_ids = stage.submit(new_task(), new_task())
    stage.dispatch(2)

    stage.run(outbox.undispatch(), ids=task_ids[:1])

    assert stage.dispatch(2) == task_ids[:1]


def test_messages_that_the_broker_no_longer_has_are_lost_once_old_enough(stage: DatabaseHarness) -> None:
    first, second, third = stage.submit(new_task(), new_task(), new_task())
    for _ in range(3):
        stage.dispatch(1)
    stage.sql("UPDATE outbox SET dispatched_at = dispatched_at - interval '20 seconds'")

    assert stage.run(outbox.undispatch_lost(), of="default", ready=0, after_s=30.0) == []
    lost = stage.run(outbox.undispatch_lost(), of="default", ready=2, after_s=15.0)

    assert [row.task_id for row in lost] == [first]
    assert stage.dispatch(3) == [first]
    assert {second, third} == {
        row.task_id for row in stage.run(outbox.undispatch_lost(), of="default", ready=1, after_s=0.0)
    } | {third}


def test_each_resend_doubles_the_patience(stage: DatabaseHarness) -> None:
    stage.submit(new_task())
    stage.dispatch(1)
    stage.sql("UPDATE outbox SET dispatched_at = now() - interval '20 seconds', redeliveries = 1")

    assert stage.run(outbox.undispatch_lost(), of="default", ready=0, after_s=15.0) == []


def test_backlogs_tell_what_waits_what_is_in_flight_and_who_serves(stage: DatabaseHarness) -> None:
    stage.submit(*[new_task() for _ in range(3)], new_task(queue="other"))
    stage.register_worker(queues=["default"])
    stage.dispatch(2)

    rows = {row.name: (row.has_backlog, row.in_flight, row.live_slots) for row in stage.run(outbox.queue_loads())}

    assert rows == {"default": (True, 2, 8), "other": (True, 0, 0)}


def test_a_waiting_task_without_an_outbox_row_gets_a_new_one(stage: DatabaseHarness) -> None:
    lost, kept = stage.submit(new_task(), new_task())
    stage.sql("DELETE FROM outbox WHERE task_id = :id", id=lost)

    rows = stage.run(outbox.restore_missing_rows(), after_id=0, until_id=kept)

    assert [row.task_id for row in rows] == [lost]
    assert len(stage.claim([lost, kept])) == 2


def test_a_type_that_nobody_serves_any_more_is_given_up_in_the_end(stage: DatabaseHarness) -> None:
    stage.sql(
        "INSERT INTO task_type (name, description, queue, schema, max_attempts, retry, seen_at) "
        "VALUES ('old', '', 'default', '{}', 1, '{}', now() - interval '1 day'), "
        "('noop', '', 'default', '{}', 1, '{}', now())"
    )
    old, new = stage.submit(new_task(type="old"), new_task())

    assert stage.fail_unknown_type(after_s=3600) == [old]

    (task,) = stage.sql("SELECT status, reason FROM task WHERE id = :id", id=old)
    assert tuple(task) == ("failed", "unknown_type")
    assert stage.status(new) == "queued"


def test_submitting_the_same_key_again_stores_nothing(stage: DatabaseHarness) -> None:
    stage.submit(new_task(idempotency_key="k", fingerprint="f"))

    assert stage.submit(new_task(idempotency_key="k", fingerprint="f"), new_task()) != []

    assert stage.sql("SELECT count(*) FROM task")[0][0] == 2
    assert stage.sql("SELECT count(*) FROM outbox")[0][0] == 2
