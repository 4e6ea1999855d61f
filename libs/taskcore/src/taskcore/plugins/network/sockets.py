"""The connections of one attempt, which another thread can cut when the attempt is to stop."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Lock
from types import TracebackType


class SocketRegistry:
    """A context: at its end the connections are let go of."""

    def __init__(self) -> None:
        self._lock = Lock()
        # Duplicates, because a TLS handshake takes the socket itself away into an object that is not at hand yet.
        self._open: list[socket.socket] = []
        self._is_cut = False

    def __enter__(self) -> SocketRegistry:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            for duplicate in self._open:
                duplicate.close()
            self._open = []

    def connect(self, host: str, port: int, timeout_s: float | None) -> socket.socket:
        """A connection to the first address of `host` that answers. Raises `OSError` where none does."""
        failure = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            connection = socket.socket(family, kind, protocol)
            try:
                self._keep(connection)
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
        """Whoever reads, writes or connects meets the end, now and from now on."""
        with self._lock:
            self._is_cut = True
            for duplicate in self._open:
                with suppress(OSError):
                    duplicate.shutdown(socket.SHUT_RDWR)

    def _keep(self, connection: socket.socket) -> None:
        with self._lock:
            if self._is_cut:
                raise ConnectionAbortedError("the attempt is to stop")
            self._open.append(connection.dup())
