"""`python -m taskcore.probe api`: is the process in this container ready? For its image's health check.

It is run every few seconds, so it imports next to nothing, and reads the port from the environment alone: whoever sets
that in a file sets a health check of their own too.
"""

from __future__ import annotations

import http.client
import os
import sys

TIMEOUT_S = 4.0
#: Where each kind of process answers unless it is told otherwise.
DEFAULT_PORTS = {"api": 8080, "health": 5050}


def is_ready(section: str) -> bool:
    """Whether `/readyz` answers 200. A process whose port is 0 answers nobody, and counts as ready.

    `section`: whose port it is, `TASKCORE_API__PORT` or `TASKCORE_HEALTH__PORT`.
    """
    port = int(os.environ.get(f"TASKCORE_{section.upper()}__PORT") or DEFAULT_PORTS[section])
    return port == 0 or _responds_ok("127.0.0.1", port)


def _responds_ok(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_ready(sys.argv[1]) else 1)
