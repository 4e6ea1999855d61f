"""When a failed task is retried. Pure: the random number is an argument."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from numbers import Real

#: The longest wait between two attempts. Times much later cannot be stored.
MAX_WAIT = timedelta(days=3650)
MAX_FACTOR = 1_000
MAX_ATTEMPTS = 100
#: From this failure on the wait no longer grows.
MAX_GROWTHS = 64


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a task may fail, and how long it waits between attempts.

    Either `waits` lists each wait (the last one repeats), or the wait grows from `initial` by `factor` with each
    failure, up to `cap`. `jitter` varies a wait by up to that share in either direction.

    Raises:
        TypeError: when a value has the wrong type.
        ValueError: when a value is out of range.
    """

    max_attempts: int = 4
    initial: timedelta = timedelta(seconds=5)
    factor: float = 3.0
    cap: timedelta = timedelta(hours=1)
    jitter: float = 0.1
    waits: tuple[timedelta, ...] = field(default=())

    def __post_init__(self) -> None:
        if type(self.max_attempts) is not int:
            raise TypeError(f"RetryPolicy.max_attempts is an integer, not {self.max_attempts!r}")
        _check_number("max_attempts", self.max_attempts, 1, MAX_ATTEMPTS)
        _check_number("factor", self.factor, 0, MAX_FACTOR)
        _check_number("jitter", self.jitter, 0, 1)
        _check_wait("initial", self.initial)
        _check_wait("cap", self.cap)
        if not isinstance(self.waits, tuple | list):
            raise TypeError(f"RetryPolicy.waits is a tuple of timedeltas, not {self.waits!r}")
        for wait in self.waits:
            _check_wait("waits", wait)

    def wait_after(self, failures: int, spread: float) -> timedelta:
        """Return the wait after the `failures`-th failure (from 1). `spread` is uniform in [-1, 1]."""
        if self.waits:
            seconds = self.waits[min(failures, len(self.waits)) - 1].total_seconds()
        else:
            growth = self.factor ** min(failures - 1, MAX_GROWTHS)
            seconds = min(self.cap.total_seconds(), self.initial.total_seconds() * growth)
        return bound_wait(timedelta(seconds=min(seconds * (1 + self.jitter * spread), MAX_WAIT.total_seconds())))


def plan_retry(policy: RetryPolicy, max_attempts: int, failures: int, spread: float) -> timedelta | None:
    """Return the wait after the `failures`-th failure, or None when no attempt is left."""
    return bound_wait(policy.wait_after(failures, spread)) if failures < max_attempts else None


def bound_wait(wait: timedelta) -> timedelta:
    """Return `wait` within what can be stored: not negative, and at most `MAX_WAIT`."""
    return timedelta(seconds=min(max(0.0, wait.total_seconds()), MAX_WAIT.total_seconds()))


def _check_number(name: str, value: float, low: float, high: float) -> None:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"RetryPolicy.{name} is a number, not {value!r}")
    if not low <= value <= high:
        raise ValueError(f"RetryPolicy.{name} is from {low} to {high}, not {value!r}")


def _check_wait(name: str, value: timedelta) -> None:
    if not isinstance(value, timedelta):
        raise TypeError(f"RetryPolicy.{name} takes timedeltas, not {value!r}")
    if not timedelta(0) <= value <= MAX_WAIT:
        raise ValueError(f"RetryPolicy.{name} is from 0 to {MAX_WAIT.days} days, not {value}")
