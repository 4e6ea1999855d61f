"""Waking up whom a change concerns: the coordinators when there is work to send, those who wait for a task's end.

A wake-up only saves time: what one does not bring, polling finds. So a wake-up that cannot be sent is logged
and forgotten. It goes out after the commit, on a connection of its own: within a transaction it would serialise
every commit of the cluster.
"""

from __future__ import annotations

import asyncio
from contextvars import Context

import structlog
from sqlalchemy import text

from taskapi.runtime.database import Database
from taskcore.db.notify import OUTBOX

PAUSE_S = 0.01

log = structlog.stdlib.get_logger(__name__)


class Notifier:
    """Sends at once, then at most once each `PAUSE_S`, for several requests together and in nobody's context."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wanted: set[str] = set()
        self._sending: asyncio.Task[None] | None = None

    def notify(self, channel: str = OUTBOX) -> None:
        """Call it after the commit. It does not wait."""
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
                    await self._database.write(text(f"NOTIFY {channel}"))
            except Exception as exc:  # they poll; the change that called this has succeeded
                log.warning("notification.not_sent", error=str(exc))
                return
            await asyncio.sleep(PAUSE_S)
