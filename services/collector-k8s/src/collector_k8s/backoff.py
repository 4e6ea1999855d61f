"""Pure: how long to wait before the cluster is asked again."""

from __future__ import annotations

import random
from dataclasses import dataclass

FIRST_S = 0.5
LONGEST_S = 30.0


@dataclass
class Backoff:
    """Waits that grow with each trouble in a row, between half of the wait and all of it."""

    rng: random.Random
    troubles: int = 0

    def reset(self) -> None:
        self.troubles = 0

    def next_s(self, at_least_s: float | None = None) -> float:
        """`at_least_s`: what the cluster asked for."""
        longest = min(LONGEST_S, FIRST_S * 2.0 ** min(self.troubles, 10))
        self.troubles += 1
        return max(longest * self.rng.uniform(0.5, 1.0), at_least_s or 0.0, FIRST_S)
