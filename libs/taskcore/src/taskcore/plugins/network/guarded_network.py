"""An httpcore network backend that connects to allowed addresses only, and that has one deadline.

It connects to the very address that it checked, so that neither a redirect nor a second DNS reply leads elsewhere.
Host header, SNI and certificate are those of the host name. Name resolution is the only step that the deadline does
not cover: the system's resolver limits its time.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpcore
from httpcore import SOCKET_OPTION

from taskcore.errors import TaskcoreError
from taskcore.plugins.network.addresses import Network, is_allowed, parse_address
from taskcore.plugins.network.sockets import SocketRegistry

WRITE_CHUNK = 64 * 1024


class ForbiddenAddress(TaskcoreError):
    """Tasks may not connect to an address of this host."""


class GuardedNetwork(httpcore.NetworkBackend):
    """Connects to public addresses and to `allowed` networks, until `deadline` by the monotonic clock.

    It never connects to `denied` networks. `sockets` can close its connections earlier.
    """

    def __init__(
        self, sockets: SocketRegistry, allowed: Sequence[Network], denied: Sequence[Network], deadline: float
    ) -> None:
        self._sockets = sockets
        self._allowed = allowed
        self._denied = denied
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of the host that accepts a connection.

        Raises:
            ForbiddenAddress: when any of the host's addresses is not allowed. A mixed DNS reply is suspicious.
        """
        addresses = resolve(host, port)
        for address in addresses:
            if not is_allowed(parse_address(address), self._allowed, self._denied):
                raise ForbiddenAddress(f"{host} resolves to {address}, to which tasks may not connect")
        return self._connect_first(addresses, port)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[SOCKET_OPTION] | None = None
    ) -> httpcore.NetworkStream:
        raise ForbiddenAddress("tasks may not connect to Unix sockets")

    def _connect_first(self, addresses: Sequence[str], port: int) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("the host has no address")
        for address in addresses:
            left = remaining_s(self._deadline, httpcore.ConnectTimeout)
            try:
                with translate_errors(httpcore.ConnectTimeout, httpcore.ConnectError):
                    connection = self._sockets.connect(address, port, left)
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
            else:
                return DeadlineStream(connection, self._deadline)
        raise failure


class DeadlineStream(httpcore.NetworkStream):
    """A stream whose operations share one deadline, which a slow peer cannot extend."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._connection.settimeout(remaining_s(self._deadline, httpcore.ReadTimeout))
        with translate_errors(httpcore.ReadTimeout, httpcore.ReadError):
            return self._connection.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        while rest:
            self._connection.settimeout(remaining_s(self._deadline, httpcore.WriteTimeout))
            with translate_errors(httpcore.WriteTimeout, httpcore.WriteError):
                rest = rest[self._connection.send(rest[:WRITE_CHUNK]) :]

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self._connection.settimeout(remaining_s(self._deadline, httpcore.ConnectTimeout))
        with translate_errors(httpcore.ConnectTimeout, httpcore.ConnectError), close_on_error(self._connection):
            return DeadlineStream(
                ssl_context.wrap_socket(self._connection, server_hostname=server_hostname), self._deadline
            )

    def close(self) -> None:
        self._connection.close()

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "ssl_object":
                return self._connection if isinstance(self._connection, ssl.SSLSocket) else None
            case "is_readable":
                return self._connection.fileno() < 0 or bool(select.select([self._connection], [], [], 0)[0])
            case "socket":
                return self._connection
        return None


@contextmanager
def translate_errors(timeout: type[Exception], error: type[Exception]) -> Iterator[None]:
    """Translate exceptions of the socket into those of httpcore."""
    try:
        yield
    except TimeoutError as exc:
        raise timeout(exc) from exc
    except OSError as exc:
        raise error(exc) from exc


@contextmanager
def close_on_error(connection: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def resolve(host: str, port: int) -> list[str]:
    """Return the distinct addresses of the host, in the order of the system's resolver."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise httpcore.ConnectError(f"{host} cannot be resolved: {exc}") from exc
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def remaining_s(deadline: float, error: type[httpcore.TimeoutException]) -> float:
    """Return the seconds that are left. Raises `error` when none are."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise error("the request took too long")
    return left
