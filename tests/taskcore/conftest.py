from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from taskcore.db.engine import BY_KEY, async_engine, sync_engine
from taskworker.coordinator.dependency_resolver import Dependents
from tests.taskcore.db.db_harness import Stage


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    engine = sync_engine(database_url, name="tests", pool_size=20, options=BY_KEY)
    yield Stage(engine)
    engine.dispose()


@pytest.fixture
def coordinate(database_url: str) -> Iterator[Callable[[], None]]:
    """A coordinator that passes on whatever is to be passed on."""
    engine = async_engine(database_url, name="tests", pool_size=2, options=BY_KEY)

    async def pass_on() -> None:
        while await Dependents(engine).step():
            continue

    with asyncio.Runner() as runner:
        yield lambda: runner.run(pass_on())
        runner.run(engine.dispose())
