"""Stopping while the database is away: what runs has its grace all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, sync_engine
from taskcore.db.notify import SyncNotifier
from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.embedded_worker import EmbeddedWorker, drain
from taskcore.execution.completer import BatchCompleter
from taskcore.execution.executor import Executor
from taskcore.execution.slots import SlotPool
from taskcore.messaging.brokers import MemoryBroker
from taskcore.messaging.consumer_service import ConsumerService
from taskcore.plugins import build_plugins
from taskcore.settings import Settings
from tests.messaging.worker_harness import Gated, MemoryHarness
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Of one connection."""
    engine = sync_engine(database_url, name="tests, stopping", pool_size=1, options=KEY_LOOKUP_OPTIONS)
    yield engine
    engine.dispose()


def take_writes(engine: Engine, takes: bool) -> None:
    with engine.connect() as connection:
        connection.execute(text(f"SET default_transaction_read_only = {'off' if takes else 'on'}"))


def claimed_elsewhere(stage: DatabaseHarness) -> ClaimedTask:
    """A task that no thread will be called for."""
    token = uuid4()
    (task_id,) = stage.submit(new_task(queue="elsewhere"))
    (row,) = stage.claim([task_id], token=token)
    return ClaimedTask(Lease(task_id, row.attempt, token), "t", "noop", "elsewhere", {}, 0, 4, 0.0)


async def test_a_database_that_was_away_took_the_grace_from_what_ran(stage: DatabaseHarness, engine: Engine) -> None:
    house = MemoryHarness(stage)
    types, holding = build_plugins([Gated]), SlotPool(threads=2, prefetch_short=0)
    types["gated"].gate = house.gate  # type: ignore[attr-defined]
    executor = Executor(engine, types, house.settings, worker_id=1, incarnation=1)
    service = ConsumerService(
        house.broker(2), holding, executor, BatchCompleter(executor, holding, SyncNotifier(engine))
    )
    service.start()
    service.consume(["default"])
    (runs,) = await house.submit(type="gated")
    await house.until(lambda: executor.running.attempts())
    holding.add_claimed(holding.reserve(1, general_only=True, wake=lambda: None), [waits := claimed_elsewhere(stage)])

    take_writes(engine, False)
    stopping = asyncio.create_task(asyncio.to_thread(service.stop, 30))
    await house.until(lambda: holding.is_closed)
    house.gate.set()
    await house.until(lambda: not executor.running.attempts())
    await asyncio.to_thread(take_writes, engine, True)
    await stopping

    assert stage.status(runs) == "succeeded"
    assert stage.status(waits.lease.task_id) == "queued"
    await house.close()


class CannotStop(EmbeddedWorker):
    def stop(self, grace_s: float) -> None:
        raise OSError("the database is away")


async def test_a_drain_that_failed_never_ended(stage: DatabaseHarness) -> None:
    worker = CannotStop(Settings(), stage.engine, MemoryBroker(), {}, lambda worker_id, wake: [])

    await asyncio.wait_for(drain(worker, 30, asyncio.Queue()), 10)
