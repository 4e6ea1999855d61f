"""Pure: how long to wait before the cluster is asked again."""

from __future__ import annotations

import random
from dataclasses import dataclass

INITIAL_S = 0.5
MAX_S = 30.0


@dataclass
class Backoff:
    """Waits that grow with each trouble in a row, between half of the wait and all of it."""

    rng: random.Random
    failures: int = 0

    def reset(self) -> None:
        self.failures = 0

    def next_s(self, at_least_s: float | None = None) -> float:
        """`at_least_s`: what the cluster asked for."""
        longest = min(MAX_S, INITIAL_S * 2.0 ** min(self.failures, 10))
        self.failures += 1
        return max(longest * self.rng.uniform(0.5, 1.0), at_least_s or 0.0, INITIAL_S)
