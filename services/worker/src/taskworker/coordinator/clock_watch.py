"""Notices when the database's clock is set, or when another host with another clock has taken over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(eq=False)
class ClockWatch:
    """Compares the database's clock with the monotonic one of this process. Slow drift and slow replies are no jump."""

    tolerance_s: float
    monotonic: Callable[[], float] = time.monotonic
    _offset: tuple[float, float] = field(default=(-math.inf, math.inf), init=False)  # at least and at most

    def jump_s(self, now: datetime, asked_at: float) -> float:
        """Return by how much the clock has jumped since the last reading, 0 within the tolerance.

        It showed `now` at some time since `asked_at`, by the monotonic clock.
        """
        low, high = now.timestamp() - self.monotonic(), now.timestamp() - asked_at
        former_low, former_high = self._offset
        jump_s = max(low - former_high, 0.0) or min(high - former_low, 0.0)
        is_jump = abs(jump_s) > self.tolerance_s
        if is_jump or high - low <= self.tolerance_s:  # what took longer tells less than the former reading
            self._offset = low, high
        return jump_s if is_jump else 0.0
