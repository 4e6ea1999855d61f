"""The coordinator's access to the database: one statement, or several in a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from taskcore.observability.outages import DATABASE

TIMEOUT_S = 30.0


class Database:
    """Runs statements on `engine`. What takes longer than `TIMEOUT_S` raises `TimeoutError`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def execute(self, statement: Any, **parameters: Any) -> list[Any]:
        """Run one statement in a transaction of its own. Return its rows, none for a statement without RETURNING."""
        async with asyncio.timeout(TIMEOUT_S), self._engine.connect() as connection:
            result = await connection.execute(statement, parameters)
            DATABASE.succeeded()
            return list(result) if result.returns_rows else []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Run the body in one transaction, which commits at its end."""
        async with asyncio.timeout(TIMEOUT_S), self._engine.connect() as connection:
            await connection.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                yield connection
