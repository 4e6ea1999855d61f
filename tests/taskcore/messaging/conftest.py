"""One conformance suite, run over every kind of broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, sync_engine
from tests.messaging.worker_harness import MemoryHarness, RabbitHarness, WorkerHarness
from tests.taskcore.db.db_harness import DatabaseHarness


@pytest.fixture
def stage(database_url: str) -> Iterator[DatabaseHarness]:
    engine = sync_engine(database_url, name="tests", pool_size=20, options=KEY_LOOKUP_OPTIONS)
    yield DatabaseHarness(engine)
    engine.dispose()


@pytest.fixture(params=["memory", "quorum", "classic"])
async def house(request: pytest.FixtureRequest, stage: DatabaseHarness) -> AsyncIterator[WorkerHarness]:
    house: WorkerHarness
    if request.param == "memory":
        house = MemoryHarness(stage)
    else:
        house = RabbitHarness(stage, request.getfixturevalue("amqp_url"), request.param)
    yield house
    await house.close()
