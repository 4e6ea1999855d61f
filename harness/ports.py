"""Free ports of this machine."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on. It is not reserved: use it at once."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
