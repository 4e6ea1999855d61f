"""LISTEN and NOTIFY, only to wake other processes, never to carry data.

Polling finds what a lost wake-up leaves behind.

A NOTIFY takes a cluster-wide lock at commit, so it is sent on its own after the writing transaction, and debounced.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import psycopg
import structlog
from sqlalchemy import Engine, Executable, text

from taskcore.db.connections import connect_async
from taskcore.db.engine import is_database_unavailable
from taskcore.observability.outages import QUIET_S, Outage

#: Tasks may have become available. From the API to the relay.
OUTBOX = "taskcore_outbox"
#: Attempts were settled. From workers to the API, for its waiting clients.
SETTLED = "taskcore_settled"
#: A running task is to stop or to pause. From the API to supervisors.
COMMANDS = "taskcore_orders"
#: A task that others depend on finished or was retried. From any process to coordinators.
DEPENDENTS = "taskcore_dependents"
#: A live setting was changed. From the API to every process.
SETTINGS = "taskcore_settings"
#: A schedule was created or changed. From any process to coordinators.
SCHEDULES = "taskcore_schedules"

DEBOUNCE_S = 0.05
MIN_RECONNECT_S = 0.1
MAX_RECONNECT_S = 5.0

log = structlog.stdlib.get_logger(__name__)


def notify(channel: str) -> Executable:
    return text(f"NOTIFY {channel}")


class SyncNotifier:
    """For one thread: sends at once, then at most once per `DEBOUNCE_S`. `flush` sends what was held back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sent_at = 0.0
        self._pending: set[str] = set()

    def notify(self, channel: str) -> None:
        self._pending.add(channel)
        if time.monotonic() - self._sent_at >= DEBOUNCE_S:
            self.flush()

    def due_in_s(self) -> float | None:
        """Return the time until `flush` is due, or None if nothing was held back."""
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
                    connection.execute(notify(channel))
        except Exception as exc:  # only a wake-up: its receivers also poll
            if not is_database_unavailable(exc):
                log.exception("notification.not_sent", channels=channels)


class Listener:
    """Listens to one channel on a connection of its own while `run` runs, and reconnects."""

    def __init__(self, url: str, channel: str, *, name: str, on_wake: Callable[[], None]) -> None:
        self._url = url
        self._channel = channel
        self._name = name
        self._on_wake = on_wake
        self._outage = Outage("listener", channel=channel)

    async def run(self) -> None:
        """Run until cancelled, whatever the server answers: a standby refuses LISTEN, until it is promoted.

        Also wakes after each reconnection, because a notification may have been missed.
        """
        wait_s = MIN_RECONNECT_S
        while True:
            try:
                async with await connect_async(self._url, name=self._name) as connection:
                    await connection.execute(f"LISTEN {self._channel}")
                    wait_s = MIN_RECONNECT_S
                    self._on_wake()
                    while True:
                        self._outage.succeeded()
                        async for _ in connection.notifies(timeout=QUIET_S):
                            self._on_wake()
            except (psycopg.Error, OSError) as exc:
                self._outage.failed(exc)
            await asyncio.sleep(wait_s)
            wait_s = min(MAX_RECONNECT_S, wait_s * 2)
