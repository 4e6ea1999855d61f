"""A monotonic clock that keeps running while the machine sleeps, where the platform has one."""

from __future__ import annotations

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def monotonic_s() -> float:
    """Return seconds since a moment that stays the same for the life of the process."""
    return time.clock_gettime(_CLOCK)
