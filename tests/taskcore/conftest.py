"""Fixtures for the tests of taskcore."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, async_engine, sync_engine
from taskworker.coordinator.database import Database
from taskworker.coordinator.dependency_resolver import DependencyResolver
from tests.taskcore.db.db_harness import DatabaseHarness


@pytest.fixture
def db(database_url: str) -> Iterator[DatabaseHarness]:
    engine = sync_engine(database_url, name="tests", pool_size=20, options=KEY_LOOKUP_OPTIONS)
    yield DatabaseHarness(engine)
    engine.dispose()


@pytest.fixture
def coordinate(database_url: str) -> Iterator[Callable[[], None]]:
    """A coordinator that passes on whatever is to be passed on."""
    engine = async_engine(database_url, name="tests", pool_size=2, options=KEY_LOOKUP_OPTIONS)

    async def pass_on() -> None:
        while await DependencyResolver(Database(engine)).step():
            continue

    with asyncio.Runner() as runner:
        yield lambda: runner.run(pass_on())
        runner.run(engine.dispose())
