"""The dependency resolver: unblocks, cancels or blocks again the tasks that depend on a task that finished."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import structlog

from taskcore.db.notify import SETTLED, notify
from taskcore.db.tasks import dependencies, dependency_resolution
from taskcore.domain.dependencies import DependentsState
from taskcore.domain.states import Status
from taskcore.wakeup import Wakeup
from taskworker.coordinator.database import Database

POLL_INTERVAL_S = 2.0

log = structlog.stdlib.get_logger(__name__)


class DependencyResolver:
    """Call `wake` when a task with dependents has finished; polling finds those whose wake-up was lost.

    `on_unblocked` is called when tasks have become claimable.
    """

    def __init__(self, database: Database, on_unblocked: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._on_unblocked = on_unblocked
        self._wakeup = Wakeup()

    def wake(self) -> None:
        self._wakeup.wake()

    async def run(self) -> None:
        while True:
            while await self.step():
                continue
            await self._wakeup.wait(POLL_INTERVAL_S * random.uniform(0.8, 1.2))

    async def step(self) -> bool:
        """Resolve one batch. Return whether anything was done, in which case there may be more."""
        rows = await self._database.execute(dependency_resolution.pending_parents())
        retried = [row.id for row in rows if row.dependents_state == DependentsState.REBLOCK]
        finished = [row for row in rows if row.dependents_state != DependentsState.REBLOCK]
        succeeded = [row.id for row in finished if row.status == Status.SUCCEEDED]
        unsuccessful = [row.id for row in finished if row.status != Status.SUCCEEDED]
        done = 0
        done += await self._unblock(succeeded) if succeeded else 0
        done += await self._cancel_descendants(unsuccessful) if unsuccessful else 0
        done += await self._reblock(retried) if retried else 0
        done += await self._mark_resolved(succeeded + unsuccessful) if finished else 0
        return done > 0

    async def _unblock(self, ids: list[int]) -> int:
        rows = await self._database.execute(dependency_resolution.unblock(), ids=ids)
        if rows:
            log.debug("tasks.unblocked", count=len(rows))
            self._on_unblocked()
        return len(rows)

    async def _cancel_descendants(self, ids: list[int]) -> int:
        rows = await self._database.execute(dependency_resolution.cancel_descendants(), ids=ids)
        if rows:
            log.info("tasks.cancelled", count=len(rows), reason="dependency_failed")
            await self._database.execute(notify(SETTLED))
        return len(rows)

    async def _reblock(self, ids: list[int]) -> int:
        """Block again the tasks that were cancelled because of a parent that has been retried since."""
        children = await self._database.execute(dependency_resolution.find_reblockable(), ids=ids)
        reblocked, marked = await self._while_locked(
            dependency_resolution.lock_with_parents(),
            dependency_resolution.reblock(),
            dependency_resolution.mark_reblocked(),
            ids=ids,
            children=[row.id for row in children],
        )
        if reblocked:
            log.info("tasks.reblocked", count=reblocked)
        return reblocked + marked

    async def _mark_resolved(self, ids: list[int]) -> int:
        (marked,) = await self._while_locked(dependencies.lock_tasks(), dependency_resolution.mark_resolved(), ids=ids)
        return marked

    async def _while_locked(self, lock: Any, *statements: Any, **parameters: Any) -> list[int]:
        """Run `statements` while `lock` holds its rows. Return how many rows each of them changed."""
        async with self._database.transaction() as connection:
            await connection.execute(lock, parameters)
            return [len((await connection.execute(one, parameters)).all()) for one in statements]
