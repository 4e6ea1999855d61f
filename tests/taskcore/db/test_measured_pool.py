"""How long callers wait for a connection is counted."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from taskcore.db.engine import async_engine, sync_engine
from taskcore.observability.metrics import POOL_TIMEOUTS, POOL_WAIT_SECONDS


def counted() -> tuple[float, float]:
    return POOL_WAIT_SECONDS._value.get(), POOL_TIMEOUTS._value.get()


def test_a_wait_that_is_given_up_counts(database_url: str) -> None:
    engine = sync_engine(database_url, name="test", pool_size=1)
    engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    before = counted()

    with engine.connect(), pytest.raises(PoolTimeout):
        engine.connect()

    waits, timeouts = (after - then for after, then in zip(counted(), before, strict=True))
    assert (waits >= 0.05, timeouts) == (True, 1)
    engine.dispose()


async def test_a_pool_of_asyncio_counts_too(database_url: str) -> None:
    engine = async_engine(database_url, name="test", pool_size=1)
    engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    before = counted()

    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
        with pytest.raises(PoolTimeout):
            await engine.connect()

    assert counted()[1] == before[1] + 1
    await engine.dispose()
