"""Running statements: one in a transaction of its own, or several in one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

TIMEOUT_S = 30.0


async def execute(engine: AsyncEngine, statement: Any, **parameters: Any) -> list[Any]:
    """All rows of the answer; empty for a statement that answers none. Raises `TimeoutError` after `TIMEOUT_S`."""
    async with asyncio.timeout(TIMEOUT_S), engine.connect() as connection:
        result = await connection.execute(statement, parameters)
        return list(result) if result.returns_rows else []


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction, committed at the end of the body. Raises `TimeoutError` where that takes `TIMEOUT_S`."""
    async with asyncio.timeout(TIMEOUT_S), engine.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")
        async with connection.begin():
            yield connection
