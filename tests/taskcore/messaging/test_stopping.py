"""Stopping while the database is unavailable."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, sync_engine
from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.embedded_worker import EmbeddedWorker, drain
from taskcore.messaging.brokers import MemoryBroker
from taskcore.messaging.consumer_service import ConsumerService
from taskcore.plugins import build_plugins
from taskcore.settings import Settings, WorkerSettings
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskcore.messaging.worker_harness import Gated, MemoryHarness


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine with a single connection."""
    engine = sync_engine(database_url, name="tests, stopping", pool_size=1, options=KEY_LOOKUP_OPTIONS)
    yield engine
    engine.dispose()


def allow_writes(engine: Engine, allowed: bool) -> None:
    with engine.connect() as connection:
        connection.execute(text(f"SET default_transaction_read_only = {'off' if allowed else 'on'}"))


def claimed_task(db: DatabaseHarness) -> ClaimedTask:
    """A claimed task of a queue that the service does not consume, so that no thread takes it."""
    token = uuid4()
    (task_id,) = db.submit(new_task(queue="elsewhere"))
    (row,) = db.claim([task_id], token=token)
    return ClaimedTask(Lease(task_id, row.attempt, token), "t", "noop", "elsewhere", {}, 0, 4, 0.0)


async def test_running_tasks_have_their_grace_while_the_database_is_unavailable(
    db: DatabaseHarness, engine: Engine
) -> None:
    harness = MemoryHarness(db)
    settings = Settings(worker=WorkerSettings(threads=2, prefetch_short=0))
    types = build_plugins([Gated])
    types["gated"].gate = harness.gate  # type: ignore[attr-defined]
    service = ConsumerService(settings, engine, harness.broker(settings), types, worker_id=1, incarnation=1)
    executor, slots = service.executor, service.slots
    service.start()
    service.consume(["default"])
    (running,) = await harness.submit(type="gated")
    await harness.until(lambda: executor.running.attempts())
    slots.add_claimed(slots.reserve(1, general_only=True, wake=lambda: None), [waiting := claimed_task(db)])

    allow_writes(engine, False)
    stopping = asyncio.create_task(asyncio.to_thread(service.stop, 30))
    await harness.until(lambda: slots.is_closed)
    harness.gate.set()
    await harness.until(lambda: not executor.running.attempts())
    await asyncio.to_thread(allow_writes, engine, True)
    await stopping

    assert db.status(running) == "succeeded"
    assert db.status(waiting.lease.task_id) == "queued"
    await harness.close()


class CannotStop(EmbeddedWorker):
    def stop(self, grace_s: float) -> None:
        raise OSError("the database is unavailable")


async def test_a_failing_stop_does_not_hang_the_drain(db: DatabaseHarness) -> None:
    worker = CannotStop(Settings(), db.engine, MemoryBroker(), {}, lambda worker_id, wake: [])

    await asyncio.wait_for(drain(worker, 30, asyncio.Queue()), 10)


class StopsLate(CannotStop):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.may_stop = threading.Event()

    def stop(self, grace_s: float) -> None:
        self.may_stop.wait(30)

    def force_stop(self) -> None:
        pass


def test_a_stop_that_ends_after_the_event_loop_does_no_harm(db: DatabaseHarness) -> None:
    worker = StopsLate(Settings(), db.engine, MemoryBroker(), {}, lambda worker_id, wake: [])

    async def be_forced() -> None:
        signals: asyncio.Queue[None] = asyncio.Queue()
        signals.put_nowait(None)
        await drain(worker, 30, signals)

    asyncio.run(be_forced())
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "drain")
    worker.may_stop.set()

    thread.join()  # an exception in a thread fails the test
