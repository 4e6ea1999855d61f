"""Notify other processes of a change, such as the coordinators when there is a task to dispatch.

A notification only saves time, because its receivers also poll: one that cannot be sent is logged and dropped. It is
sent after the commit on another connection, because within a transaction it would serialise all commits of the cluster.
"""

from __future__ import annotations

import asyncio
from contextvars import Context

import structlog

from taskapi.runtime.database import Database
from taskcore.db.notify import OUTBOX, notify
from taskcore.errors import first_line

PAUSE_S = 0.01

log = structlog.stdlib.get_logger(__name__)


class Notifier:
    """Sends at once, then at most every `PAUSE_S` for all requests, outside the context of any of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wanted: set[str] = set()
        self._sending: asyncio.Task[None] | None = None

    def notify(self, channel: str = OUTBOX) -> None:
        """Send a NOTIFY soon, without waiting for it. Call this after the commit."""
        self._wanted.add(channel)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), name="notifier", context=Context())

    async def close(self) -> None:
        if self._sending is not None:
            await asyncio.wait([self._sending])

    async def _send(self) -> None:
        while self._wanted:
            channels, self._wanted = self._wanted, set()
            try:
                for channel in channels:
                    await self._database.write(notify(channel))
            except Exception as exc:  # the receivers poll, and the change itself has succeeded
                log.warning("notification.not_sent", error=first_line(exc))
                return
            await asyncio.sleep(PAUSE_S)
