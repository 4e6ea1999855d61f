"""Sockets that listen, on IPv4 and IPv6 alike, and the URLs of what listens there."""

from __future__ import annotations

import socket

from taskcore.errors import TaskcoreError

_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}


def listen(host: str, port: int, section: str, *, is_shared: bool = False, backlog: int = 128) -> socket.socket:
    """Return a listening socket. The host `::` means all addresses of both families.

    On a machine without IPv6, `::` means all addresses of IPv4. Several processes can listen if the socket `is_shared`.
    Raise `TaskcoreError` that names the host and the port of `section` of the settings when that is not possible.
    """
    try:
        return _listen(host, port, is_shared, backlog)
    except OSError as exc:
        name = f"TASKCORE_{section.upper()}"
        reason = (exc.strerror or str(exc)).partition(" (while ")[0]
        raise TaskcoreError(f"cannot listen on {authority(host, port)}: {reason} ({name}__HOST, {name}__PORT)") from exc


def authority(host: str, port: int) -> str:
    """Return `host:port`, with an IPv6 address in brackets, as URLs have it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def local_url(host: str, port: int) -> str:
    """Return the URL, as seen from this machine, of an HTTP server that listens on `host`."""
    return f"http://{authority(_LOOPBACK.get(host, host), port)}"


def _listen(host: str, port: int, is_shared: bool, backlog: int) -> socket.socket:
    is_dual = host == "::" and socket.has_dualstack_ipv6()
    if host == "::" and not is_dual:
        host = "0.0.0.0"
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    return socket.create_server(
        (host, port), family=family, backlog=backlog, reuse_port=is_shared, dualstack_ipv6=is_dual
    )
