"""Outbox rows that should not exist, and what they must not do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import make_url, text

from harness.postgres import execute_as
from taskcore.db.engine import sync_engine
from taskcore.db.queues import outbox
from taskcore.db.tasks import actions, claims, dependencies
from taskcore.domain import outcomes
from taskcore.execution.executor import Executor
from taskcore.execution.slots import SlotPool
from taskcore.messaging.consumer import ClaimingConsumer
from taskcore.messaging.memory_transport import MemoryQueues, MemoryTransport
from taskcore.messaging.messages import encode
from taskcore.messaging.transports import ServedQueues
from taskcore.plugins import build_plugins
from taskcore.settings import Settings
from taskstandalone.postgres.roles import OWNER
from taskworker.types.noop import Noop
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


def rows(db: DatabaseHarness) -> list[int]:
    return [row.task_id for row in db.sql("SELECT task_id FROM outbox ORDER BY task_id")]


def test_failing_an_unknown_type_spares_a_task_that_is_retried_meanwhile(db: DatabaseHarness) -> None:
    db.register_type("noop")
    db.sql("UPDATE task_type SET seen_at = now() - interval '2 days'")
    first, second = db.submit(new_task(), new_task())
    db.sql("UPDATE outbox SET available_at = now() - interval '2 days'")
    token = uuid4()
    holder = db.engine.connect().execution_options(isolation_level="READ COMMITTED")
    holder.execute(dependencies.lock_tasks(), {"ids": [first]})

    with ThreadPoolExecutor(1) as pool:
        given_up = pool.submit(db.fail_unknown_type, after_s=60)
        db.wait_for_blocked(1)
        db.claim([second], token=token)
        db.settle(second, 1, token, outcomes.retry_later("no", timedelta(0)))
        holder.rollback()
        holder.close()

    assert given_up.result(60) == [first]
    assert rows(db) == [second]


def test_the_message_of_a_stale_row_does_not_block_its_queue(db: DatabaseHarness) -> None:
    finished, waiting = db.submit(new_task(), new_task())
    db.sql("UPDATE task SET status = 'failed' WHERE id = :id", id=finished)
    queues = MemoryQueues()
    queues.put("default", [encode("default", task_id) for task_id in (finished, waiting)])
    transport = MemoryTransport(queues, ServedQueues(frozenset({"default"})))
    executor = Executor(db.engine, build_plugins([Noop]), Settings(), worker_id=db.register_worker(), incarnation=1)
    slots = SlotPool(threads=1, prefetch_short=0)
    consumer = ClaimingConsumer(slots, executor, transport, 0.1)

    handed_on = [next(consumer), next(consumer), next(consumer)]

    assert db.status(waiting) == "running"
    assert [one for one in handed_on if one is not None]


def test_a_stale_row_is_deleted_once_its_message_seems_lost(db: DatabaseHarness) -> None:
    finished, waiting = db.submit(new_task(), new_task())
    db.sql("UPDATE task SET status = 'failed' WHERE id = :id", id=finished)
    db.sql("UPDATE outbox SET redeliveries = 1, dispatched_at = now()")

    db.run(outbox.delete_stale_rows())

    assert rows(db) == [waiting]


def test_a_stale_row_does_not_block_its_task(db: DatabaseHarness) -> None:
    (task_id,) = db.submit(new_task())
    db.dispatch(1)
    db.sql("UPDATE task SET status = 'paused'")

    assert db.apply_action(actions.resume(), task_id)

    assert db.dispatch(1) == [task_id]


def test_a_worker_without_the_type_does_not_bring_a_retry_forward(db: DatabaseHarness) -> None:
    (task_id,) = db.submit(new_task())
    assert db.run(claims.still_due(), ids=[task_id])
    token = uuid4()
    db.claim([task_id], token=token)
    db.settle(task_id, 1, token, outcomes.retry_later("no", timedelta(hours=1)))

    db.run(claims.postpone(), ids=[task_id])

    ((wait_s,),) = db.run(outbox.next_due())
    assert wait_s > 3_000


def test_an_idle_transaction_is_ended_by_the_server(db: DatabaseHarness) -> None:
    ((patience,),) = db.sql("SELECT current_setting('idle_in_transaction_session_timeout')")

    assert patience == "10s"


def test_times_are_in_utc_whatever_the_databases_time_zone(database_url: str) -> None:
    name = make_url(database_url).database
    execute_as(OWNER, database_url, f"ALTER DATABASE \"{name}\" SET timezone = 'Europe/Berlin'")
    engine = sync_engine(database_url, name="test", pool_size=1)

    with engine.connect() as connection:
        (first, second) = connection.execute(
            text("SELECT timestamptz '2026-10-25 01:00Z', timestamptz '2026-10-25 00:30Z'")
        ).one()
    engine.dispose()

    assert first > second
    assert first - second == timedelta(minutes=30)
