"""Fixtures for the tests of submission."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, async_engine, sync_engine
from taskworker.coordinator.database import Database
from taskworker.coordinator.scheduler import Scheduler
from tests.taskcore.db.db_harness import DatabaseHarness


@pytest.fixture
def db(database_url: str) -> Iterator[DatabaseHarness]:
    engine = sync_engine(database_url, name="tests", pool_size=5, options=KEY_LOOKUP_OPTIONS)
    yield DatabaseHarness(engine)
    engine.dispose()


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = async_engine(database_url, name="tests", pool_size=10, options=KEY_LOOKUP_OPTIONS)
    yield engine
    await engine.dispose()


@pytest.fixture
def scheduler(engine: AsyncEngine) -> Scheduler:
    return Scheduler(Database(engine))
