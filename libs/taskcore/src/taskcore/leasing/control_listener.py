"""A worker's liveness signal in PostgreSQL: a connection that holds an advisory lock and listens for commands.

The lock is a new one for each connection. A notification means that somebody has changed a task of this worker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

from taskcore.db.connections import connect
from taskcore.db.notify import COMMANDS, SETTINGS
from taskcore.db.prepared import execute_on
from taskcore.db.workers import leases
from taskcore.leasing.dedicated_connection import close_after
from taskcore.reconnecting_thread import ReconnectingThread

REPLY_TIMEOUT_S = 5.0
PING_INTERVAL_S = 5.0


class ControlListener(ReconnectingThread):
    """Calls `on_wake` for each notification, and after each connect, since notifications may have been missed."""

    name = "control_listener"
    reconnect_delay_s = 0.5

    def __init__(self, url: str, worker_id: int, *, on_wake: Callable[[], None]) -> None:
        super().__init__()
        self._worker_id = worker_id
        self._url = url
        self._on_wake = on_wake

    def _hold_connection(self) -> None:
        with self._connect() as connection:
            self._take_lock_and_listen(connection)
            self._on_wake()
            while not self._stopping.is_set():
                self._report_connected()
                for _ in connection.notifies(timeout=PING_INTERVAL_S, stop_after=1):
                    self._on_wake()
                if not self._stopping.is_set():
                    with close_after(connection, REPLY_TIMEOUT_S):
                        connection.execute("SELECT 1")

    def _connect(self) -> psycopg.Connection[Any]:
        return connect(self._url, name=f"taskworker {self._worker_id}, listening")

    def _take_lock_and_listen(self, connection: psycopg.Connection[Any]) -> None:
        with close_after(connection, REPLY_TIMEOUT_S):
            (row,) = execute_on(connection, leases.acquire_liveness_lock(), {})
            execute_on(connection, leases.set_liveness_lock(), {"worker": self._worker_id, "lock": row.lock_id})
            connection.execute(f"LISTEN {COMMANDS}")
            connection.execute(f"LISTEN {SETTINGS}")
