"""A connection that one thread keeps for itself. Each of its calls ends in time, whatever the network does."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Engine


class DedicatedConnection:
    """Connects when first used. A call that takes longer than `timeout_s` loses the connection and raises."""

    def __init__(self, engine: Engine, *, timeout_s: float) -> None:
        self._engine = engine
        self._timeout_s = timeout_s
        self._connection: Connection | None = None

    def execute(self, statement: Any, **parameters: Any) -> list[Any]:
        """Return all rows, or an empty list for a statement without rows."""
        if self._connection is None:
            self._connection = self._engine.connect()
        try:
            with close_after(self._connection.connection.driver_connection, self._timeout_s):
                result = self._connection.execute(statement, parameters)
                return list(result) if result.returns_rows else []
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()


@contextmanager
def close_after(connection: Any, timeout_s: float) -> Iterator[None]:
    """Shut down the socket of the psycopg `connection` unless the block ends within `timeout_s`."""
    # A duplicate: the connection may be closed, and its descriptor given to another file, before the time is up.
    duplicate = socket.socket(fileno=os.dup(connection.fileno()))
    timer = threading.Timer(timeout_s, _shut_down, [duplicate])
    timer.daemon = True
    try:
        timer.start()
        yield
    finally:
        timer.cancel()
        duplicate.close()


def _shut_down(duplicate: socket.socket) -> None:
    with suppress(OSError):
        duplicate.shutdown(socket.SHUT_RDWR)
