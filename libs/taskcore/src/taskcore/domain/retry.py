"""When a failed task is retried. Pure: the random number is an argument."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a task may fail, and how long it waits between attempts.

    Either `waits` lists each wait (the last one repeats), or the wait grows from `initial` by `factor` with each
    failure, up to `cap`. `jitter` varies a wait by up to that share in either direction.
    """

    max_attempts: int = 4
    initial: timedelta = timedelta(seconds=5)
    factor: float = 3.0
    cap: timedelta = timedelta(hours=1)
    jitter: float = 0.1
    waits: tuple[timedelta, ...] = field(default=())

    def wait_after(self, failures: int, spread: float) -> timedelta:
        """Return the wait after the `failures`-th failure (from 1). `spread` is uniform in [-1, 1]."""
        if self.waits:
            wait = self.waits[min(failures, len(self.waits)) - 1]
        else:
            growth = self.factor ** min(failures - 1, 64)
            wait = min(self.cap, timedelta(seconds=min(self.initial.total_seconds() * growth, 1e9)))
        return wait * (1 + self.jitter * spread)


def plan_retry(policy: RetryPolicy, max_attempts: int, failures: int, spread: float) -> timedelta | None:
    """Return the wait after the `failures`-th failure, or None when no attempt is left."""
    return policy.wait_after(failures, spread) if failures < max_attempts else None
