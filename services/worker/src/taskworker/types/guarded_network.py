"""The network as `http_request` sees it: only fit addresses, and an end in time.

The address that was checked is the one that is connected to, so that neither a redirect nor a second answer of the
DNS leads elsewhere. Host header, SNI and certificate stay those of the host's name. Only the time that a name takes to
resolve is bounded by the system's resolver alone.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore
from httpcore import SOCKET_OPTION

from taskcore.errors import TaskcoreError
from taskworker.types.addresses import Network, is_allowed, parse_address

WRITE_CHUNK = 64 * 1024


class ForbiddenAddress(TaskcoreError):
    """A host has an address that tasks may not connect to."""


class GuardedNetwork(httpcore.NetworkBackend):
    """Connects to public addresses and to `allowed` networks; `ends_at` (of the monotonic clock) ends everything."""

    def __init__(self, allowed: Sequence[Network], ends_at: float) -> None:
        self._inner = httpcore.SyncBackend()
        self._allowed = allowed
        self._ends_at = ends_at

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first of the host's addresses that answers.

        Raises:
            ForbiddenAddress: when any of the host's addresses is one: a mixed answer is not to be trusted.
        """
        addresses = resolve(host, port)
        for address in addresses:
            if not is_allowed(parse_address(address), self._allowed):
                raise ForbiddenAddress(f"{host} is {address}, an address that tasks may not connect to")
        return self._connect_first(addresses, port, local_address, socket_options)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[SOCKET_OPTION] | None = None
    ) -> httpcore.NetworkStream:
        raise ForbiddenAddress("tasks may not connect to Unix sockets")

    def _connect_first(
        self,
        addresses: Sequence[str],
        port: int,
        local_address: str | None,
        socket_options: Iterable[SOCKET_OPTION] | None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("the host has no address")
        for address in addresses:
            left = remaining(self._ends_at, httpcore.ConnectTimeout)
            try:
                stream = self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
            else:
                return TimedStream(stream, self._ends_at)
        raise failure


class TimedStream(httpcore.NetworkStream):
    """A stream on which every operation has what is left of the time: a peer that drips cannot stretch it."""

    def __init__(self, inner: httpcore.NetworkStream, ends_at: float) -> None:
        self._inner = inner
        self._ends_at = ends_at

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, remaining(self._ends_at, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), WRITE_CHUNK):
            left = remaining(self._ends_at, httpcore.WriteTimeout)
            self._inner.write(buffer[start : start + WRITE_CHUNK], left)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = remaining(self._ends_at, httpcore.ConnectTimeout)
        return TimedStream(self._inner.start_tls(ssl_context, server_hostname, left), self._ends_at)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def resolve(host: str, port: int) -> list[str]:
    """The host's addresses in the system's order, each once. An address is its own."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise httpcore.ConnectError(f"{host} cannot be resolved: {exc}") from exc
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def remaining(ends_at: float, error: type[httpcore.TimeoutException]) -> float:
    """The seconds that are left. Raises `error` when none are."""
    left = ends_at - time.monotonic()
    if left <= 0:
        raise error("the time for the request is over")
    return left
