"""`python -m taskcore.probe api`: the health check of our images. Exits with 0 when the process is ready.

It runs every few seconds, so it imports very little and reads the port from the environment only. An operator who sets
the port in a file must replace the health check too.
"""

from __future__ import annotations

import http.client
import os
import sys

TIMEOUT_S = 4.0
#: The default port of each section of the settings.
DEFAULT_PORTS = {"api": 8080, "health": 5050}


def is_ready(section: str) -> bool:
    """Whether `/readyz` returns 200 on the port of `section` (`TASKCORE_API__PORT` or `TASKCORE_HEALTH__PORT`).

    A process whose port is 0 does not listen and counts as ready.
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
