"""The connections of one attempt, which another thread can shut down when the attempt has to stop."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Lock
from types import TracebackType


class SocketRegistry:
    """A context manager, which forgets its connections at the end. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        # Duplicates, because a TLS handshake moves the socket into an object that exists only after it.
        self._open: list[socket.socket] = []
        self._is_shut_down = False

    def __enter__(self) -> SocketRegistry:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            for duplicate in self._open:
                duplicate.close()
            self._open = []

    def connect(self, host: str, port: int, timeout_s: float | None) -> socket.socket:
        """Connect to the first address of `host` that accepts a connection. Raises `OSError` if none does."""
        failure = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            connection = socket.socket(family, kind, protocol)
            try:
                self._register(connection)
                connection.settimeout(timeout_s)
                connection.connect(address)
            except OSError as exc:
                connection.close()
                failure = exc
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise failure

    def shutdown_all(self) -> None:
        """Shut all connections down. Any read, write or connect fails from now on."""
        with self._lock:
            self._is_shut_down = True
            for duplicate in self._open:
                with suppress(OSError):
                    duplicate.shutdown(socket.SHUT_RDWR)

    def _register(self, connection: socket.socket) -> None:
        with self._lock:
            if self._is_shut_down:
                raise ConnectionAbortedError("the attempt has to stop")
            self._open.append(connection.dup())
