"""Outages of the servers that a process uses, in few log lines however many calls fail.

The first failure is logged at once, as `NAME.unavailable`. While the outage lasts, `NAME.still_unavailable` follows
every 30 s, with its duration and the number of failures, and `NAME.available_again` ends it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

from taskcore.errors import first_line

REPORT_INTERVAL_S = 30.0
#: Calls succeed beside others that fail: an outage has ended once nothing has failed for this long.
QUIET_S = 5.0

log = structlog.stdlib.get_logger(__name__)


class Outage:
    """Thread-safe. Whatever uses the server reports each failure, and each success: that one costs nothing.

    `fields` are part of each line. A failure that is the first after `REPORT_INTERVAL_S` begins another outage.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic, **fields: Any) -> None:
        self._name = name
        self._clock = clock
        self._fields = fields
        self._lock = threading.Lock()
        self._began_at: float | None = None
        self._failed_at = 0.0
        self._report_at = 0.0
        self._count = 0

    def failed(self, error: BaseException | str, **fields: Any) -> None:
        """Report a failure. `fields` are logged if it is the one that writes a line."""
        text = error if isinstance(error, str) else first_line(error)
        with self._lock:
            line = self._count_failure(self._clock())
        if line is not None:
            event, numbers = line
            log.warning(f"{self._name}.{event}", error=text, **self._fields, **fields, **numbers)

    def succeeded(self) -> None:
        """Report a success."""
        if self._began_at is not None and (numbers := self._end(self._clock())):
            log.warning(f"{self._name}.available_again", **self._fields, **numbers)

    def forget(self) -> None:
        """Begin as if nothing had failed."""
        with self._lock:
            self._began_at = None

    def _end(self, now: float) -> dict[str, Any] | None:
        with self._lock:
            began_at = self._began_at
            if began_at is None or now - self._failed_at < QUIET_S:
                return None
            self._began_at = None
            return {"after_s": round(self._failed_at - began_at, 1), "count": self._count}

    def _count_failure(self, now: float) -> tuple[str, dict[str, Any]] | None:
        last, self._failed_at = self._failed_at, now
        if self._began_at is None or now - last > REPORT_INTERVAL_S:
            self._began_at, self._count, self._report_at = now, 1, now + REPORT_INTERVAL_S
            return "unavailable", {}
        self._count += 1
        if now < self._report_at:
            return None
        self._report_at = now + REPORT_INTERVAL_S
        return "still_unavailable", {"for_s": round(now - self._began_at, 1), "count": self._count}


#: Of this process.
DATABASE = Outage("database")
BROKER = Outage("broker")
