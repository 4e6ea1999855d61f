"""How long to wait after failures in a row."""

from __future__ import annotations

import random
from dataclasses import dataclass

INITIAL_S = 0.5
MAX_S = 30.0


@dataclass
class Backoff:
    """Exponential backoff. Each wait is a random share, between half and all, of the time that doubles per failure."""

    rng: random.Random
    failures: int = 0

    def reset(self) -> None:
        self.failures = 0

    def next_s(self, at_least_s: float | None = None) -> float:
        """Count a failure and return the wait. `at_least_s` is what the server asked for, as in `Retry-After`."""
        longest = min(MAX_S, INITIAL_S * 2.0 ** min(self.failures, 10))
        self.failures += 1
        return max(longest * self.rng.uniform(0.5, 1.0), at_least_s or 0.0, INITIAL_S)
