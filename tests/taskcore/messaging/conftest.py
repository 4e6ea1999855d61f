"""One conformance suite, run over every kind of broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from taskcore.db.engine import BY_KEY, sync_engine
from tests.messaging.worker_harness import House, MemoryHouse, RabbitHouse
from tests.taskcore.db.db_harness import Stage


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    engine = sync_engine(database_url, name="tests", pool_size=20, options=BY_KEY)
    yield Stage(engine)
    engine.dispose()


@pytest.fixture(params=["memory", "quorum", "classic"])
async def house(request: pytest.FixtureRequest, stage: Stage) -> AsyncIterator[House]:
    house: House
    if request.param == "memory":
        house = MemoryHouse(stage)
    else:
        house = RabbitHouse(stage, request.getfixturevalue("amqp_url"), request.param)
    yield house
    await house.close()
