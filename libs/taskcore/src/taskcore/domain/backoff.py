"""How long to wait before a failed call is repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass

_MAX_DOUBLINGS = 30


@dataclass
class Backoff:
    """Exponential waits in seconds, from `first_s` to `max_s`.

    With an `rng` each wait is random, from a half of that to all of it, but not shorter than `first_s`.
    """

    first_s: float = 0.5
    max_s: float = 30.0
    rng: random.Random | None = None
    failures: int = 0

    def reset(self) -> None:
        """Start again at `first_s`, after a success."""
        self.failures = 0

    def next_s(self, at_least_s: float | None = None) -> float:
        """Return the wait after one more failure. `at_least_s` is what the server asked for."""
        wait_s = min(self.max_s, self.first_s * 2.0 ** min(self.failures, _MAX_DOUBLINGS))
        self.failures += 1
        jitter = 1.0 if self.rng is None else self.rng.uniform(0.5, 1.0)
        return max(wait_s * jitter, at_least_s or 0.0, self.first_s)
