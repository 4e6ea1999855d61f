"""Free ports of this machine."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from itertools import cycle, islice

#: Ports below the kernel's ephemeral ones. Each worker of a parallel run has its own range, so that no two collide.
RANGE = 1_500
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_FIRST = 10_000 + _WORKER % 10 * RANGE
_candidates = cycle(_FIRST + (os.getpid() + number) % RANGE for number in range(RANGE))


def free_port() -> int:
    """Return a TCP port of the loopback interface that is not in use. It is not reserved, so use it at once."""
    for port in islice(_candidates, RANGE):
        with suppress(OSError), socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")
