"""How long somebody has said nothing, as far as whoever listens can tell."""

from __future__ import annotations

from dataclasses import dataclass

#: The most that one look counts for. Who looks less often was stopped, or had no processor, and so had the other.
LOOK_S = 0.5


@dataclass(slots=True)
class Silence:
    """Counts only the time in which somebody listened. `lasted_s` is what it has come to."""

    lasted_s: float = 0.0
    _looked_at: float | None = None

    def listen(self, now: float, *, is_broken: bool) -> None:
        """`is_broken`: something was heard since the last look."""
        if is_broken:
            self.lasted_s = 0.0
        elif self._looked_at is not None:
            self.lasted_s += min(now - self._looked_at, LOOK_S)
        self._looked_at = now
