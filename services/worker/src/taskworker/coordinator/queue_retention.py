"""Deletes queues that nothing needs any more, and those that a person has deleted, from the broker and the database."""

from __future__ import annotations

import asyncio
import random

import structlog

from taskcore.db.queues import lifecycle
from taskcore.live_settings import CurrentSettings
from taskcore.messaging.publisher import Publisher
from taskworker.coordinator.database import Database

INTERVAL_S = 10.0

log = structlog.stdlib.get_logger(__name__)


class QueueRetention:
    """`marked_s`: how long a queue is marked before it is deleted, so that workers stop consuming it first."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        settings: CurrentSettings,
        *,
        marked_s: float = lifecycle.MARKED_S,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._settings = settings
        self._marked_s = marked_s

    async def run(self) -> None:
        while True:
            await self.step()
            await asyncio.sleep(INTERVAL_S * random.uniform(0.8, 1.2))

    async def step(self) -> None:
        """Restore queues that a task just named, mark those that are unused, and delete those that have been marked."""
        if restored := await self._database.execute(lifecycle.restore_queues()):
            log.warning("queues.restored", queues=[row.name for row in restored[:10]])
        await self._mark_unused()
        for row in await self._database.execute(lifecycle.marked_queues(), marked_s=self._marked_s):
            await self._delete(row.name)

    async def _mark_unused(self) -> None:
        after_s = self._settings.now.queues.delete_unused_after_s
        if after_s is None:
            return
        rows = await self._database.execute(lifecycle.mark_unused(), after_s=after_s)
        if marked := [row.name for row in rows if row.deleted_at is not None]:
            log.info("queues.unused", count=len(marked), queues=marked[:10])

    async def _delete(self, queue: str) -> None:
        """Delete the queue, or leave it for the next time: a worker that hangs may still consume it."""
        if await self._publisher.delete_queue(queue):
            await self._database.execute(lifecycle.delete_queue(), of=queue)
            log.info("queue.deleted", queue=queue)
