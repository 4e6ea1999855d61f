"""Notices when the database's clock is set, or when another host with another clock has taken over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(eq=False)
class ClockWatch:
    """Compares the database's clock with the monotonic one of this process. Slow drift and slow replies are no jump."""

    tolerance_s: float
    monotonic: Callable[[], float] = time.monotonic
    _offset_s: float | None = field(default=None, init=False)

    def jump_s(self, now: datetime) -> float:
        """Return by how much the clock has jumped since the last reading, 0 within the tolerance."""
        offset_s, former_s = now.timestamp() - self.monotonic(), self._offset_s
        self._offset_s = offset_s
        if former_s is None or abs(offset_s - former_s) <= self.tolerance_s:
            return 0.0
        return offset_s - former_s
