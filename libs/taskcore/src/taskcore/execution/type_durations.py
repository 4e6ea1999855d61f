"""Which task types have been short lately. Pure, but for the memory of past runs."""

from __future__ import annotations

#: A type is short while its slowest recent run is below this.
SHORT_RUN_S = 0.05
#: Runs below this end before another thread could take over.
VERY_SHORT_RUN_S = 0.002
#: How many runs a type must have had.
MIN_SAMPLES = 16
#: The slowest run fades by this factor with each run.
DECAY = 0.98


class TypeDurations:
    """The number of runs and the slowest recent run of each type."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}

    def observe(self, type_: str, ran_s: float) -> None:
        runs, slowest = self._seen.get(type_, (0, 0.0))
        self._seen[type_] = (runs + 1, max(ran_s, slowest * DECAY))

    def is_short(self, type_: str) -> bool:
        return self._is_below(type_, SHORT_RUN_S)

    def is_very_short(self, type_: str) -> bool:
        return self._is_below(type_, VERY_SHORT_RUN_S)

    def short_types(self) -> list[str]:
        return [type_ for type_ in list(self._seen) if self.is_short(type_)]

    def _is_below(self, type_: str, limit_s: float) -> bool:
        runs, slowest = self._seen.get(type_, (0, 0.0))
        return runs >= MIN_SAMPLES and slowest < limit_s
