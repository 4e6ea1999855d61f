"""Running one statement in a transaction of its own."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

TIMEOUT_S = 30.0


async def execute(engine: AsyncEngine, statement: Any, **parameters: Any) -> list[Any]:
    """All rows of the answer; empty for a statement that answers none. Raises `TimeoutError` after `TIMEOUT_S`."""
    async with asyncio.timeout(TIMEOUT_S), engine.connect() as connection:
        result = await connection.execute(statement, parameters)
        return list(result) if result.returns_rows else []
