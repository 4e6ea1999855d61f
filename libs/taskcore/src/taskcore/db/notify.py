"""LISTEN and NOTIFY: only to wake somebody up, never to tell anything. Polling finds what a lost wake-up left.

A NOTIFY takes a cluster-wide lock at commit, so it is sent by itself after the writing transaction, and debounced.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg
import structlog
from sqlalchemy import Engine, make_url, text

from taskcore.db.engine import CONNECT_TIMEOUT_S, is_database_unavailable

#: Work may have become available: sent by the API, heard by the relay.
OUTBOX = "taskcore_outbox"
#: Attempts were settled: sent by workers, heard by the API for those who wait.
SETTLED = "taskcore_settled"
#: A task that runs is to stop or to pause: sent by the API, heard by supervisors.
COMMANDS = "taskcore_orders"
#: A task on which others depend is over, or was retried by hand: sent by whoever did it, heard by coordinators.
DEPENDENTS = "taskcore_dependents"
#: A live setting was changed: sent by the API, heard by whoever follows them.
SETTINGS = "taskcore_settings"
#: A schedule was made or changed: sent by whoever did it, heard by coordinators.
SCHEDULES = "taskcore_schedules"

DEBOUNCE_S = 0.05
MAX_RECONNECT_S = 5.0

log = structlog.stdlib.get_logger(__name__)


class SyncNotifier:
    """For one thread: sends at once, then at most once in `DEBOUNCE_S`; what was held back goes out with `flush`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sent_at = 0.0
        self._pending: set[str] = set()

    def notify(self, channel: str) -> None:
        self._pending.add(channel)
        if time.monotonic() - self._sent_at >= DEBOUNCE_S:
            self.flush()

    def due_in_s(self) -> float | None:
        """How long until what was held back should be flushed; None when there is nothing."""
        if not self._pending:
            return None
        return max(0.001, self._sent_at + DEBOUNCE_S - time.monotonic())

    def flush(self) -> None:
        if not self._pending:
            return
        channels, self._pending, self._sent_at = sorted(self._pending), set(), time.monotonic()
        try:
            with self._engine.connect() as connection:
                for channel in channels:
                    connection.execute(text(f"NOTIFY {channel}"))
        except Exception as exc:  # only a wake-up: whoever waits polls as well
            if not is_database_unavailable(exc):
                log.exception("notification.not_sent", channels=channels)


class Listener:
    """Hears one channel on a connection of its own, for as long as `run` runs; reconnects by itself."""

    def __init__(self, url: str, channel: str, *, name: str, on_wake: Callable[[], None]) -> None:
        self._conninfo = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._channel = channel
        self._name = name
        self._on_wake = on_wake

    async def run(self) -> None:
        """Until cancelled. Wakes after each reconnection too: something may have been missed."""
        wait_s = 0.1
        while True:
            with suppress(psycopg.OperationalError):
                connection = await psycopg.AsyncConnection.connect(
                    self._conninfo,
                    autocommit=True,
                    application_name=self._name,
                    connect_timeout=CONNECT_TIMEOUT_S,
                )
                async with connection:
                    await connection.execute(f"LISTEN {self._channel}")
                    wait_s = 0.1
                    self._on_wake()
                    async for _ in connection.notifies():
                        self._on_wake()
            await asyncio.sleep(wait_s)
            wait_s = min(MAX_RECONNECT_S, wait_s * 2)
