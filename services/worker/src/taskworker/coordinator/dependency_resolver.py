"""The dependency resolver: unblocks, cancels or blocks again the tasks that depend on a task that finished."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
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
        """Resolve all dependents of a batch of tasks. Return whether anything was done: there may be more then."""
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
        count = 0
        async for row in self._examine(dependency_resolution.unblock(), ids):
            count += row.changed
            if row.changed:
                self._on_unblocked()
        log.debug("tasks.unblocked", count=count)
        return count

    async def _cancel_descendants(self, ids: list[int]) -> int:
        count = 0
        async for row in self._examine(dependency_resolution.cancel_descendants(), ids):
            count += row.changed
        if count:
            log.info("tasks.cancelled", count=count, reason="dependency_failed")
            await self._database.execute(notify(SETTLED))
        return count

    async def _reblock(self, ids: list[int]) -> int:
        """Block again the tasks that were cancelled because of a parent that has been retried since."""
        lock, count = dependency_resolution.lock_with_parents(), 0
        async for row in self._examine(dependency_resolution.find_reblockable(), ids):
            if row.changed:
                reblock = dependency_resolution.reblock()
                count += await self._while_locked(lock, reblock, ids=ids, children=row.children)
        if count:
            log.info("tasks.reblocked", count=count)
        return count + await self._while_locked(lock, dependency_resolution.mark_reblocked(), ids=ids, children=[])

    async def _examine(self, statement: Any, ids: list[int]) -> AsyncIterator[Any]:
        """Execute `statement` until it has examined all dependents of `ids`, and yield the rows that it returns.

        Most tasks have few dependents: these are examined together. Otherwise each parent's are, one batch after the
        other, so that the time is linear in their number.
        """
        (row,) = await self._database.execute(statement, ids=ids, after_id=0)
        yield row
        if row.examined < dependency_resolution.CHILDREN_LIMIT:
            return
        for parent in ids:
            row, after_id = None, 0
            while row is None or row.examined == dependency_resolution.CHILDREN_LIMIT:
                (row,) = await self._database.execute(statement, ids=[parent], after_id=after_id)
                after_id = row.last_id
                yield row

    async def _mark_resolved(self, ids: list[int]) -> int:
        return await self._while_locked(dependencies.lock_tasks(), dependency_resolution.mark_resolved(), ids=ids)

    async def _while_locked(self, lock: Any, statement: Any, **parameters: Any) -> int:
        """Run `statement` while `lock` holds its rows. Return how many rows it changed."""
        async with self._database.transaction() as connection:
            await connection.execute(lock, parameters)
            return len((await connection.execute(statement, parameters)).all())
