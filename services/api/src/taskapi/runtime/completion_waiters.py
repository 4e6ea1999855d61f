"""Wake the requests that wait for a task to finish.

The process has one LISTEN connection, open only while a request waits. Each notification leads to one query for all
awaited tasks, and so does each second without one, so a lost notification only costs time. Without a waiting request
there are no queries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import Context

import structlog

from taskapi.http.problems import too_many_waiting
from taskapi.runtime.database import Database
from taskcore.db.engine import is_database_unavailable
from taskcore.db.notify import SETTLED, Listener
from taskcore.db.tasks import queries
from taskcore.wakeup import Wakeup

POLL_S = 1.0
PAUSE_S = 0.01

log = structlog.stdlib.get_logger(__name__)


class CompletionWaiters:
    """The waiting requests, by task."""

    def __init__(self, url: str, database: Database, max_waiting: int) -> None:
        self._wakeup = Wakeup()
        self._listener = Listener(url, SETTLED, name="taskapi waiters", on_wake=self._wakeup.wake)
        self._database = database
        self._max_waiting = max_waiting
        self._waiting: dict[int, set[asyncio.Event]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._is_closed = False

    @contextmanager
    def waiting_for(self, task_id: int) -> Iterator[asyncio.Event]:
        """Return an event that is set when the task finishes or is deleted, or when the process stops.

        Read the task after entering: a change from then on is not missed.
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
        """Poll for as long as a request waits, outside the context of any request.

        Raise `ProblemError` when too many requests wait: each holds a connection.
        """
        if sum(map(len, self._waiting.values())) > self._max_waiting:
            raise too_many_waiting()
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(), name="completion waiters", context=Context())

    def release_all(self) -> None:
        """Set all events, now and from now on: the process is about to stop."""
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
                await asyncio.sleep(PAUSE_S)  # one query for a burst of notifications
                await self._wakeup.wait(POLL_S)
        finally:
            listening.cancel()

    async def _release_finished(self) -> None:
        try:
            rows = await self._database.read(queries.find_finished(), {"ids": list(self._waiting)})
        except Exception as exc:  # the requests keep waiting: the next query may succeed
            if not is_database_unavailable(exc):
                log.exception("waiters.poll_failed")
            return
        self._release([row.id for row in rows])

    def _release(self, task_ids: Collection[int]) -> None:
        for task_id in list(task_ids):
            for event in self._waiting.get(task_id, ()):
                event.set()
