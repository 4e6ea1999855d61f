"""A warning about something that may happen thousands of times a second, at most once a minute."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import structlog

INTERVAL_S = 60.0
MAX_NAMES = 10

log = structlog.stdlib.get_logger(__name__)


class PeriodicWarning:
    """Logs `event` with `counts`: how often it happened since the last line, by name. Thread-safe."""

    def __init__(self, event: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._event = event
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._log_at = float("-inf")

    def add(self, counts: Mapping[str, int], **fields: Any) -> None:
        """Count, and write a line if the last one is `INTERVAL_S` old. `fields` are those of this occurrence."""
        with self._lock:
            self._counts.update(counts)
            if not self._counts or self._clock() < self._log_at:
                return
            self._log_at = self._clock() + INTERVAL_S
            total, named = self._counts, dict(self._counts.most_common(MAX_NAMES))
            self._counts = Counter()
        log.warning(self._event, count=total.total(), counts=named, **fields)
