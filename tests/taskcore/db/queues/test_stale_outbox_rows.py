"""Outbox rows that should not be there, and what they must not do."""

from __future__ import annotations

import queue
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import make_url, text

from taskcore.db.engine import sync_engine
from taskcore.db.queues import outbox
from taskcore.db.tasks import actions, claims, dependencies
from taskcore.domain import outcomes
from taskcore.execution.executor import Executor
from taskcore.execution.slots import SlotPool
from taskcore.messaging.consumer import ClaimingConsumer
from taskcore.messaging.messages import encode
from taskcore.messaging.transports import StubTransport
from taskcore.plugins import build_plugins
from taskcore.settings import Settings
from taskworker.types.noop import Noop
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


def rows(stage: DatabaseHarness) -> list[int]:
    return [row.task_id for row in stage.sql("SELECT task_id FROM outbox ORDER BY task_id")]


def test_what_is_given_up_while_it_is_to_be_retried_leaves_no_row(stage: DatabaseHarness) -> None:
    stage.register_type("noop")
    stage.sql("UPDATE task_type SET seen_at = now() - interval '2 days'")
    first, second = stage.submit(new_task(), new_task())
    token = uuid4()
    holder = stage.engine.connect().execution_options(isolation_level="READ COMMITTED")
    holder.execute(dependencies.lock_tasks(), {"ids": [first]})

    with ThreadPoolExecutor(1) as pool:
        given_up = pool.submit(stage.fail_unknown_type, after_s=60)
        stage.wait_for_blocked(1)
        stage.claim([second], token=token)
        stage.settle(second, 1, token, outcomes.retry_later("no", timedelta(0)))
        holder.rollback()
        holder.close()

    assert given_up.result(60) == [first, second]
    assert rows(stage) == []


def test_the_message_of_a_row_that_was_left_behind_does_not_hold_up_its_queue(stage: DatabaseHarness) -> None:
    over, waiting = stage.submit(new_task(), new_task())
    stage.sql("UPDATE task SET status = 'failed' WHERE id = :id", id=over)
    messages: queue.Queue[bytes] = queue.Queue()
    for task_id in (over, waiting):
        messages.put(encode("default", task_id))
    executor = Executor(
        stage.engine, build_plugins([Noop]), Settings(), worker_id=stage.register_worker(), incarnation=1
    )
    holding = SlotPool(threads=1, prefetch_short=0)
    consumer = ClaimingConsumer(StubTransport(messages), "default", holding, executor, timeout_s=0.1)

    handed_on = [next(consumer), next(consumer), next(consumer)]

    assert stage.status(waiting) == "running"
    assert [one for one in handed_on if one is not None]


def test_a_row_that_was_left_behind_is_dropped_once_its_message_seemed_lost(stage: DatabaseHarness) -> None:
    over, waiting = stage.submit(new_task(), new_task())
    stage.sql("UPDATE task SET status = 'failed' WHERE id = :id", id=over)
    stage.sql("UPDATE outbox SET redeliveries = 1, dispatched_at = now()")

    stage.run(outbox.delete_stale_rows())

    assert rows(stage) == [waiting]


def test_a_row_that_was_left_behind_does_not_keep_its_task_from_going_on(stage: DatabaseHarness) -> None:
    (task_id,) = stage.submit(new_task())
    stage.dispatch(1)
    stage.sql("UPDATE task SET status = 'paused'")

    assert stage.apply_action(actions.resume(), task_id)

    assert stage.dispatch(1) == [task_id]


def test_a_retry_is_not_brought_forward_by_a_worker_that_lacks_its_type(stage: DatabaseHarness) -> None:
    (task_id,) = stage.submit(new_task())
    assert stage.run(claims.still_due(), ids=[task_id])
    token = uuid4()
    stage.claim([task_id], token=token)
    stage.settle(task_id, 1, token, outcomes.retry_later("no", timedelta(hours=1)))

    stage.run(claims.postpone(), ids=[task_id])

    ((wait_s,),) = stage.run(outbox.next_due())
    assert wait_s > 3_000


def test_who_is_cut_off_in_a_transaction_holds_nothing_for_long(stage: DatabaseHarness) -> None:
    ((patience,),) = stage.sql("SELECT current_setting('idle_in_transaction_session_timeout')")

    assert patience == "10s"


def test_times_come_in_utc_whatever_the_database_s_own_zone(stage: DatabaseHarness, database_url: str) -> None:
    name = make_url(database_url).database
    stage.sql(f"ALTER DATABASE \"{name}\" SET timezone = 'Europe/Berlin'")
    engine = sync_engine(database_url, name="test", pool_size=1)

    with engine.connect() as connection:
        (first, second) = connection.execute(
            text("SELECT timestamptz '2026-10-25 01:00Z', timestamptz '2026-10-25 00:30Z'")
        ).one()
    engine.dispose()

    assert first > second
    assert first - second == timedelta(minutes=30)
