"""The worker's connection to the database that only listens: who wants something of its tasks.

It holds the advisory lock that stands for the worker's life, a new one for each connection: one of the two witnesses.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import structlog
from sqlalchemy import make_url

from taskcore.db.engine import CONNECT_TIMEOUT_S
from taskcore.db.notify import COMMANDS, SETTINGS
from taskcore.db.prepared import execute_on
from taskcore.db.workers import leases
from taskcore.errors import first_line
from taskcore.leasing.dedicated_connection import close_after

RECONNECT_DELAY_S = 0.5
REPLY_TIMEOUT_S = 5.0
PING_INTERVAL_S = 5.0

log = structlog.stdlib.get_logger(__name__)


class ControlListener:
    """Listens for `worker_id` until it is stopped; reconnects by itself."""

    def __init__(self, url: str, worker_id: int, *, on_wake: Callable[[], None]) -> None:
        self._conninfo = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._worker_id = worker_id
        self._on_wake = on_wake
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ears", daemon=True)
        self.is_connected = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Its connection ends soon after; the end of the process ends it too."""
        self._stopping.set()

    def _run(self) -> None:
        """A connection that was lost is made anew at once; the next try has to wait."""
        while not self._stopping.is_set():
            was_open = self._stay()
            if not was_open:
                self._stopping.wait(RECONNECT_DELAY_S)

    def _stay(self) -> bool:
        """Listen for as long as it goes well. Answers whether it began well."""
        try:
            with self._connected() as connection:
                self._listen(connection)
        except Exception as exc:  # whatever it was: a worker without ears is taken for dead, so try again
            if not self._stopping.is_set():
                log.warning("control_listener.lost", error=first_line(exc))
        finally:
            was_open, self.is_connected = self.is_connected, False
        return was_open

    def _connected(self) -> psycopg.Connection[tuple[int, str]]:
        return psycopg.connect(
            self._conninfo,
            autocommit=True,
            application_name=f"taskworker {self._worker_id}, listening",
            connect_timeout=CONNECT_TIMEOUT_S,
            keepalives_idle=5,
            keepalives_interval=3,
            keepalives_count=3,
            tcp_user_timeout=15_000,
        )

    def _listen(self, connection: psycopg.Connection[tuple[int, str]]) -> None:
        with close_after(connection, REPLY_TIMEOUT_S):
            (row,) = execute_on(connection, leases.acquire_liveness_lock(), {})
            execute_on(connection, leases.set_liveness_lock(), {"worker": self._worker_id, "lock": row.lock_id})
            connection.execute(f"LISTEN {COMMANDS}")
            connection.execute(f"LISTEN {SETTINGS}")
        self.is_connected = True
        self._on_wake()
        while not self._stopping.is_set():
            for _ in connection.notifies(timeout=PING_INTERVAL_S, stop_after=1):
                self._on_wake()
            if not self._stopping.is_set():
                with close_after(connection, REPLY_TIMEOUT_S):
                    connection.execute("SELECT 1")
