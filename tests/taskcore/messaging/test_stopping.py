"""Stopping while the database is away: what runs has its grace all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from harness.waiting import eventually
from taskcore.db.engine import BY_KEY, sync_engine
from taskcore.db.notify import SyncNotifier
from taskcore.domain.tasks import Claimed, Lease
from taskcore.embedded_worker import InProcessWorker, drain
from taskcore.execution.completer import Settler
from taskcore.execution.executor import Executor
from taskcore.execution.slots import Holding
from taskcore.messaging.brokers import MemoryBroker
from taskcore.messaging.consumer_service import Service
from taskcore.plugins import collect
from taskcore.settings import Settings
from tests.messaging.worker_harness import Gated, MemoryHouse
from tests.taskcore.db.db_harness import Stage, new_task


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Of one connection."""
    engine = sync_engine(database_url, name="tests, stopping", pool_size=1, options=BY_KEY)
    yield engine
    engine.dispose()


def take_writes(engine: Engine, takes: bool) -> None:
    with engine.connect() as connection:
        connection.execute(text(f"SET default_transaction_read_only = {'off' if takes else 'on'}"))


def claimed_elsewhere(stage: Stage) -> Claimed:
    """A task that no thread will be called for."""
    token = uuid4()
    (task_id,) = stage.submit(new_task(queue="elsewhere"))
    (row,) = stage.claim([task_id], token=token)
    return Claimed(Lease(task_id, row.attempt, token), "t", "noop", "elsewhere", {}, 0, 4, 0.0)


async def test_a_database_that_was_away_took_the_grace_from_what_ran(stage: Stage, engine: Engine) -> None:
    house = MemoryHouse(stage)
    types, holding = collect([Gated]), Holding(threads=2, look_ahead=0)
    types["gated"].gate = house.gate  # type: ignore[attr-defined]
    executor = Executor(engine, types, house.settings, worker_id=1, incarnation=1)
    service = Service(house.broker(2), holding, executor, Settler(executor, holding, SyncNotifier(engine)))
    service.start()
    service.serve(["default"])
    (runs,) = await house.submit(type="gated")
    await house.until(lambda: executor.running.attempts())
    holding.admit(holding.reserve(1, only_any=True, wake=lambda: None), [waits := claimed_elsewhere(stage)])

    take_writes(engine, False)
    stopping = asyncio.create_task(asyncio.to_thread(service.stop, 30))
    await house.until(lambda: holding.is_closed)
    house.gate.set()
    await house.until(lambda: not executor.running.attempts())
    await asyncio.to_thread(eventually, lambda: not take_writes(engine, True))
    await stopping

    assert stage.status(runs) == "succeeded"
    assert stage.status(waits.lease.task_id) == "queued"
    await house.close()


class CannotStop(InProcessWorker):
    def stop(self, grace_s: float) -> None:
        raise OSError("the database is away")


async def test_a_drain_that_failed_never_ended(stage: Stage) -> None:
    worker = CannotStop(Settings(), stage.engine, MemoryBroker(), {}, lambda worker_id, wake: [])

    await asyncio.wait_for(drain(worker, 30, asyncio.Queue()), 10)
