"""Telling those who wait for a task's end that it is over.

One LISTEN connection for the whole process, open only while somebody waits, and one query for all of them at each
wake-up, at the latest each second: a lost wake-up costs time, never an answer. With nobody waiting nothing is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import Context

import structlog

from taskapi.runtime.database import Database
from taskcore.db.engine import is_database_unavailable
from taskcore.db.notify import SETTLED, Listener
from taskcore.db.tasks import queries
from taskcore.wakeup import Wakeup

POLL_S = 1.0
PAUSE_S = 0.01

log = structlog.stdlib.get_logger(__name__)


class CompletionWaiters:
    """Who waits for which task."""

    def __init__(self, url: str, database: Database) -> None:
        self._wakeup = Wakeup()
        self._listener = Listener(url, SETTLED, name="taskapi waiters", on_wake=self._wakeup.wake)
        self._database = database
        self._waiting: dict[int, set[asyncio.Event]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._is_closed = False

    @contextmanager
    def waiting_for(self, task_id: int) -> Iterator[asyncio.Event]:
        """An event that is set once the task is over, gone, or the process stops.

        Look at the task after entering: an end from then on is not missed.
        """
        event = asyncio.Event()
        if self._is_closed:
            event.set()
        self._waiting.setdefault(task_id, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[task_id].discard(event)
            if not self._waiting[task_id]:
                del self._waiting[task_id]

    def start_watching(self) -> None:
        """Look for ends from now on, for as long as anybody waits, and in no request's context."""
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(), name="completion waiters", context=Context())

    def release_all(self) -> None:
        """Let everybody go, now and from now on: the process is about to stop."""
        self._is_closed = True
        self._release(self._waiting)

    async def close(self) -> None:
        self.release_all()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def _watch(self) -> None:
        listening = asyncio.create_task(self._listener.run(), name="completion listener")
        try:
            while self._waiting:
                await self._release_finished()
                await asyncio.sleep(PAUSE_S)  # a burst of ends is one query
                await self._wakeup.wait(POLL_S)
        finally:
            listening.cancel()

    async def _release_finished(self) -> None:
        try:
            rows = await self._database.read(queries.find_finished(), {"ids": list(self._waiting)})
        except Exception as exc:  # whoever waits goes on waiting: the next look may succeed
            if not is_database_unavailable(exc):
                log.exception("waiters.poll_failed")
            return
        self._release([row.id for row in rows])

    def _release(self, task_ids: Collection[int]) -> None:
        for task_id in list(task_ids):
            for event in self._waiting.get(task_id, ()):
                event.set()
