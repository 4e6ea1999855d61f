"""The conformance suite runs over every kind of broker."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.taskcore.db.db_harness import DatabaseHarness
from tests.taskcore.messaging.worker_harness import MemoryHarness, RabbitHarness, WorkerHarness


@pytest.fixture(params=["memory", "quorum", "classic"])
async def harness(request: pytest.FixtureRequest, db: DatabaseHarness) -> AsyncIterator[WorkerHarness]:
    harness: WorkerHarness
    if request.param == "memory":
        harness = MemoryHarness(db)
    else:
        harness = RabbitHarness(db, request.getfixturevalue("amqp_url"), request.param)
    yield harness
    await harness.close()
