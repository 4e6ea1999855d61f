"""Passing on what the end of a task means for those that depend on it: they run, or are cancelled, or wait again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.notify import SETTLED
from taskcore.db.tasks import dependencies, dependency_resolution
from taskcore.domain.states import Status
from taskworker.coordinator.database import execute, transaction

POLL_INTERVAL_S = 2.0

log = structlog.stdlib.get_logger(__name__)


class DependencyResolver:
    """`wake` is called by whoever knows that a task with dependents is over; polling finds what that left.

    `on_unblocked` is called when tasks may run now.
    """

    def __init__(self, engine: AsyncEngine, on_unblocked: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._on_unblocked = on_unblocked
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._woken.clear()
            while await self.step():
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_INTERVAL_S * random.uniform(0.8, 1.2)):
                    await self._woken.wait()

    async def step(self) -> bool:
        """One batch. Answers whether anything was done: then there may be more."""
        rows = await execute(self._engine, dependency_resolution.pending_parents())
        armed = [row.id for row in rows if row.dependents_state == "reblock"]
        succeeded = [row.id for row in rows if row.dependents_state != "reblock" and row.status == Status.SUCCEEDED]
        in_vain = [row.id for row in rows if row.dependents_state != "reblock" and row.status != Status.SUCCEEDED]
        done = 0
        done += await self._unblock(succeeded) if succeeded else 0
        done += await self._cascade(in_vain) if in_vain else 0
        done += await self._reblock(armed) if armed else 0
        done += await self._mark_resolved(succeeded + in_vain) if succeeded or in_vain else 0
        return done > 0

    async def _unblock(self, ids: list[int]) -> int:
        rows = await execute(self._engine, dependency_resolution.unblock(), ids=ids)
        if rows:
            log.debug("tasks.unblocked", count=len(rows))
            self._on_unblocked()
        return len(rows)

    async def _cascade(self, ids: list[int]) -> int:
        rows = await execute(self._engine, dependency_resolution.cancel_descendants(), ids=ids)
        if rows:
            log.info("tasks.cancelled", count=len(rows), reason="dependency_failed")
            await execute(self._engine, text(f"NOTIFY {SETTLED}"))
        return len(rows)

    async def _reblock(self, ids: list[int]) -> int:
        children = [row.id for row in await execute(self._engine, dependency_resolution.find_reblockable(), ids=ids)]
        family = {"ids": ids, "children": children}
        armed, marked = await self._while_locked(
            dependency_resolution.lock_with_parents(),
            dependency_resolution.reblock(),
            dependency_resolution.mark_reblocked(),
            **family,
        )
        if armed:
            log.info("tasks.reblocked", count=armed)
        return armed + marked

    async def _mark_resolved(self, ids: list[int]) -> int:
        (marked,) = await self._while_locked(dependencies.lock_tasks(), dependency_resolution.mark_resolved(), ids=ids)
        return marked

    async def _while_locked(self, hold: Any, *statements: Any, **parameters: Any) -> list[int]:
        """Run `statements` while what `hold` locks stays as it is. Answers how many rows each of them changed."""
        async with transaction(self._engine) as connection:
            await connection.execute(hold, parameters)
            return [len((await connection.execute(one, parameters)).all()) for one in statements]
