"""A connection that is kept for one purpose, and whose every call ends in a bounded time, whatever the network does."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Engine


class DedicatedConnection:
    """For one thread. A call that takes longer than `limit_s` loses its connection, and raises accordingly."""

    def __init__(self, engine: Engine, *, timeout_s: float) -> None:
        self._engine = engine
        self._timeout_s = timeout_s
        self._connection: Connection | None = None

    def execute(self, statement: Any, **parameters: Any) -> list[Any]:
        """All rows of the answer; empty for a statement that answers none."""
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
    """Shut the socket of the psycopg `connection` down unless the block ends within `limit_s`."""
    guard = socket.socket(fileno=_duplicate(connection.fileno()))
    timer = threading.Timer(timeout_s, _shut, [guard])
    timer.daemon = True
    try:
        timer.start()
        yield
    finally:
        timer.cancel()
        guard.close()


def _duplicate(fileno: int) -> int:
    """A descriptor of our own: the connection's may be closed, and belong to another file, before the time is up."""
    return os.dup(fileno)


def _shut(guard: socket.socket) -> None:
    with suppress(OSError):
        guard.shutdown(socket.SHUT_RDWR)
