"""How long somebody has said nothing, as far as whoever listens can tell."""

from __future__ import annotations

from dataclasses import dataclass

#: The most that one look counts for. Who looks less often was stopped, or had no processor, and so had the other.
MAX_OBSERVATION_GAP_S = 0.5


@dataclass(slots=True)
class SilenceTimer:
    """Counts only the time in which somebody listened. `lasted_s` is what it has come to."""

    elapsed_s: float = 0.0
    _observed_at: float | None = None

    def observe(self, now: float, *, heard: bool) -> None:
        """`is_broken`: something was heard since the last look."""
        if heard:
            self.elapsed_s = 0.0
        elif self._observed_at is not None:
            self.elapsed_s += min(now - self._observed_at, MAX_OBSERVATION_GAP_S)
        self._observed_at = now
