"""How much time has passed: on a clock that goes on while the machine sleeps, where it has one."""

from __future__ import annotations

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def monotonic_s() -> float:
    """Seconds since some moment, the same for the whole life of the process."""
    return time.clock_gettime(_CLOCK)
