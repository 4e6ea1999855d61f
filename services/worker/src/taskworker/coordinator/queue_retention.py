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
        """Mark queues that are unused, delete those that have been marked, and restore those that a task just named."""
        after_s = self._settings.now.queues.delete_unused_after_s
        if after_s is not None:
            marked = await self._database.execute(lifecycle.mark_unused(), after_s=after_s)
            if marked:
                log.info("queues.unused", count=len(marked), queues=[row.name for row in marked[:10]])
        for row in await self._database.execute(lifecycle.marked_queues(), marked_s=self._marked_s):
            await self._delete(row.name)
        if restored := await self._database.execute(lifecycle.restore_queues()):
            log.warning("queues.restored", queues=[row.name for row in restored[:10]])

    async def _delete(self, queue: str) -> None:
        """Delete the queue, or leave it for the next time: a worker that hangs may still consume it."""
        if await self._publisher.delete_queue(queue):
            await self._database.execute(lifecycle.delete_queue(), of=queue)
            log.info("queue.deleted", queue=queue)
