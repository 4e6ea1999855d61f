"""The rescuer: what dead workers held, and the sweep for what every other rule missed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy import Executable, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.models import Task
from taskcore.db.queues import outbox
from taskcore.db.sql import status_in
from taskcore.db.tasks import actions, dependency_resolution, settlements
from taskcore.db.workers import leases
from taskcore.domain.liveness import RECONNECT_GRACE_S
from taskcore.domain.outcomes import worker_lost
from taskcore.domain.states import CLAIMABLE, Status
from taskcore.domain.tasks import FinishedAttempt, Lease
from taskcore.live_settings import CurrentSettings
from taskcore.observability.metrics import TASKS_RESCUED, record_results
from taskworker.coordinator.database import execute, transaction

INTERVAL_S = 1.0
ORPHANS_INTERVAL_S = 4.0
DATABASE_SILENCE_S = 5.0
RECHECK_DELAY_S = 0.25
SLICE_SIZE = 50_000
ACTOR = "coordinator"

log = structlog.stdlib.get_logger(__name__)


class Rescuer:
    """`is_absent` asks the broker about a worker that the database does not see any more.

    `on_rescued` is called when tasks have gone back to their queue, or ended. After the database was silent for
    `silence_s`, no lease counts as run out for `hearing_s`.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        settings: CurrentSettings,
        is_absent: Callable[[int], Awaitable[bool]],
        on_rescued: Callable[[], None],
        *,
        silence_s: float = DATABASE_SILENCE_S,
        reconnect_grace_s: float = RECONNECT_GRACE_S,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._is_absent = is_absent
        self._on_rescued = on_rescued
        self._silence_s, self._reconnect_grace_s = silence_s, reconnect_grace_s
        self._swept_at = float("-inf")
        self._orphans_at = 0.0
        self._woken = asyncio.Event()
        settings.on_change(self._woken.set)
        self._executed_at: float | None = float("-inf")
        self._delete_expired_from = 0.0

    async def run(self) -> None:
        """Until cancelled. Copies of the coordinator fall out of step by chance, not by agreement."""
        while True:
            self._woken.clear()
            await self.step()
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S * random.uniform(0.8, 1.2)):
                    await self._woken.wait()

    async def step(self) -> None:
        has_buried = await self._delete_dead_workers()
        if has_buried or time.monotonic() >= self._orphans_at:
            self._orphans_at = time.monotonic() + ORPHANS_INTERVAL_S
            await self._delete_expired_workers()
            await self._rescue()
        if time.monotonic() - self._swept_at >= self._settings.now.coordinator.sweep_every_s:
            self._swept_at = time.monotonic()
            await self._restore_rows()
            await self._delete_stale_rows()
            await self._requeue_stuck()
            await self._fail_unknown_types()

    async def _delete_dead_workers(self) -> bool:
        """Death is believed at once where both witnesses agree: nobody holds the life lock, and its queue is gone.

        A worker whose connection was cut has a moment to come back with another lock.
        """
        suspects = [row for row in await self._execute(leases.workers_without_lock()) if await self._is_absent(row.id)]
        if not suspects:
            return False
        await asyncio.sleep(RECHECK_DELAY_S)
        still = {(row.id, row.lock_id) for row in await self._execute(leases.workers_without_lock())}
        buried = []
        for row in suspects:
            if (row.id, row.lock_id) in still:
                buried += await self._execute(leases.delete_if_dead(), worker=row.id, lock=row.lock_id)
        if buried:
            log.warning("workers.dead", worker_ids=[row.id for row in buried])
        return bool(buried)

    async def _delete_expired_workers(self) -> None:
        if time.monotonic() < self._delete_expired_from:
            return
        buried = await self._execute(leases.delete_expired_workers())
        if buried:
            log.warning("workers.lease_expired", worker_ids=[row.id for row in buried])

    async def _rescue(self) -> None:
        while rows := await self._execute(leases.orphaned_attempts()):
            batch = [
                FinishedAttempt(Lease(row.id, row.attempt, row.lease_token), row.type, worker_lost(row.worker_losses))
                for row in rows
            ]
            rescued = await self._execute(settlements.settle(), rows=settlements.result_rows(batch), by=ACTOR)
            TASKS_RESCUED.inc(len(rescued))
            record_results(batch)
            log.warning("tasks.rescued", count=len(rescued))
            self._on_rescued()
            if len(rows) < leases.ORPHANS_LIMIT:
                return

    async def _restore_rows(self) -> None:
        """A waiting task without an outbox row would wait for ever."""
        async for bounds in self._slices(CLAIMABLE):
            rows = await self._execute(outbox.restore_missing_rows(), **bounds)
            if rows:
                log.error("outbox.rows_restored", count=len(rows), task_ids=[row.task_id for row in rows[:10]])

    async def _requeue_stuck(self) -> None:
        """A blocked task would wait for ever if all that it depends on were over and nobody were to pass it on."""
        async for bounds in self._slices({Status.BLOCKED}):
            rows = await self._execute(dependency_resolution.requeue_stuck(), **bounds)
            if rows:
                log.error("dependencies.requeued", count=len(rows), task_ids=[row.id for row in rows[:10]])

    async def _slices(self, statuses: Iterable[Status]) -> AsyncIterator[dict[str, int]]:
        """`after_id` and `until_id` of slices that together hold all tasks which stand at one of `statuses`."""
        bounds = select(func.min(Task.id), func.max(Task.id)).where(status_in(Task.status, statuses))
        ((first, last),) = await self._execute(bounds)
        if first is None:
            return
        for after_id in range(first - 1, last, SLICE_SIZE):
            yield {"after_id": after_id, "until_id": after_id + SLICE_SIZE}

    async def _delete_stale_rows(self) -> None:
        if rows := await self._execute(outbox.delete_stale_rows()):
            log.error("outbox.stale_rows_deleted", count=len(rows), task_ids=[row.task_id for row in rows[:10]])

    async def _fail_unknown_types(self) -> None:
        """Lock first, then look: what waits for a lock itself misses the outbox row that was written meanwhile."""
        after_s = self._settings.now.coordinator.fail_unknown_type_after_s
        if not await self._execute(actions.find_unknown_type(), after_s=after_s):
            return
        count = actions.UNKNOWN_TYPE_LIMIT
        while count == actions.UNKNOWN_TYPE_LIMIT:
            async with transaction(self._engine) as connection:
                ids = list(await connection.scalars(actions.lock_unknown_type(), {"after_s": after_s}))
                count = len((await connection.execute(actions.fail_unknown_type(), {"ids": ids})).all())
            if count:
                log.warning("tasks.unknown_type_failed", count=count)

    async def _execute(self, statement: Executable, **parameters: Any) -> list[Any]:
        """As `execute`. Where the database was away, workers first get a hearing to say that they live."""
        if self._executed_at is None:
            self._executed_at = time.monotonic()
        rows = await execute(self._engine, statement, **parameters)
        if time.monotonic() - self._executed_at > self._silence_s:
            self._delete_expired_from = time.monotonic() + self._reconnect_grace_s
        self._executed_at = None
        return rows
