"""The rescuer, with a broker that is ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.engine import async_engine
from taskcore.db.workers import leases
from taskcore.live_settings import CurrentSettings
from taskcore.settings import Settings
from taskworker.coordinator.rescuer import Rescuer
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = async_engine(database_url, name="rescuer", pool_size=2)
    yield engine
    await engine.dispose()


async def test_a_broker_that_takes_long_to_answer_keeps_no_lease_from_running_out(
    stage: DatabaseHarness, engine: AsyncEngine
) -> None:
    async def is_absent(worker_id: int) -> bool:
        await asyncio.sleep(0.3)
        return False

    dead = stage.register_worker()
    stage.run(leases.set_liveness_lock(), worker=dead, lock=77)
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], worker=dead)
    stage.sql("UPDATE worker SET seen_at = now() - interval '1 minute'")
    rescuer = Rescuer(
        engine, CurrentSettings(Settings()), is_absent, lambda: None, silence_s=0.2, reconnect_grace_s=0.1
    )

    async with asyncio.timeout(60):
        while stage.status(task_id) != "queued":
            await rescuer.step()
