"""Access to PostgreSQL: every call has a timeout, and each write is one statement or one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from psycopg.errors import DeadlockDetected
from sqlalchemy import Executable, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from taskapi.runtime.request_spans import statement_span, transaction_span
from taskcore.db.engine import async_engine
from taskcore.db.tasks import queries
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskcore.settings import Settings

POOL_SIZE = 10
TIMEOUT_S = 30

Rows = Sequence[Row[*tuple[Any, ...]]]


class Database:
    """Calls raise when there is no response within `TIMEOUT_S`: see `taskcore.db.engine.is_database_unavailable`."""

    def __init__(self, engine: AsyncEngine, tracing: Tracing = NO_TRACING) -> None:
        self._engine = engine
        self._tracing = tracing

    @classmethod
    def from_settings(cls, settings: Settings, tracing: Tracing = NO_TRACING, pool_size: int = POOL_SIZE) -> Self:
        """Return the database of the settings. It connects at the first call."""
        engine = async_engine(
            settings.database_url.get_secret_value(),
            name="taskapi",
            pool_size=pool_size,
            options={"statement_timeout": f"{TIMEOUT_S}s"},
            pooler=settings.database_pooler,
        )
        return cls(engine, tracing)

    async def close(self) -> None:
        await self._engine.dispose()

    async def read(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Rows:
        """Return the rows. Retry once when the connection was dead: a server restart leaves such in the pool."""
        try:
            return await self._execute(statement, parameters)
        except DBAPIError as exc:
            if not exc.connection_invalidated:
                raise
        return await self._execute(statement, parameters)

    async def write(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Rows:
        """Return the rows of one statement, committed. Retry once after a deadlock."""
        try:
            return await self._execute(statement, parameters)
        except DBAPIError as exc:
            if not isinstance(exc.orig, DeadlockDetected):
                raise
        return await self._execute(statement, parameters)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Return a connection in a transaction, which is committed at the end of the block unless it raises."""
        with transaction_span(self._tracing):
            async with asyncio.timeout(TIMEOUT_S), self._engine.connect() as connection:
                await connection.execution_options(isolation_level="READ COMMITTED")
                async with connection.begin():
                    yield connection

    async def ping(self) -> None:
        """Raise when the database is unavailable or has no schema."""
        await self._execute(queries.read_nothing(), None)

    async def _execute(self, statement: Executable, parameters: Mapping[str, Any] | None) -> Rows:
        with statement_span(self._tracing, statement):
            async with asyncio.timeout(TIMEOUT_S), self._engine.connect() as connection:
                result = await connection.execute(statement, parameters)
                return result.all() if result.returns_rows else ()
