"""`python -m taskcore.probe`: the health check of our images. Exits with 0 when the process is ready.

It runs every few seconds, so it imports very little and reads the address from the environment only. An operator who
sets it in a file must replace the health check too.
"""

from __future__ import annotations

import http.client
import os
import sys

TIMEOUT_S = 4.0
DEFAULT_PORT = 5050


def is_ready() -> bool:
    """Whether `/readyz` returns 200 on `TASKCORE_HEALTH__HOST` and `TASKCORE_HEALTH__PORT`.

    A process whose port is 0 does not listen and counts as ready.
    """
    port = int(os.environ.get("TASKCORE_HEALTH__PORT") or DEFAULT_PORT)
    host = os.environ.get("TASKCORE_HEALTH__HOST", "")
    return port == 0 or _responds_ok("127.0.0.1" if host in ("", "::", "0.0.0.0") else host, port)


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
    sys.exit(0 if is_ready() else 1)
