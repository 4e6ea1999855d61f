"""How many messages of a queue may lie in the broker. Pure.

Few, so that a task of higher priority overtakes the rest in PostgreSQL; enough, so that no worker waits.
"""

from __future__ import annotations

from dataclasses import dataclass

CLAIM_BUFFER_S = 0.5
SMOOTHING = 0.5
MAX_WINDOW = 20_000
MIN_PAUSE_S = 0.005
MAX_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class QueueFlow:
    """What this relay has seen of a queue: `in_flight` after its last dispatch, and claims a second, smoothed.

    With several relays each sees its own share: their windows add up to at most what one would allow.
    """

    in_flight: int = 0
    claims_per_s: float = 0.0

    def observe(self, in_flight: int, elapsed_s: float) -> QueueFlow:
        """`in_flight` now, `elapsed_s` after the last look: what went missing since was claimed."""
        seen = max(0, self.in_flight - in_flight) / max(elapsed_s, 0.001)
        return QueueFlow(in_flight, self.claims_per_s + SMOOTHING * (seen - self.claims_per_s))

    def dispatched(self, count: int) -> QueueFlow:
        return QueueFlow(self.in_flight + count, self.claims_per_s)


def window(live_slots: int, claims_per_s: float) -> int:
    """Twice the live slots, or half a second of claims where that is more; nothing where nobody serves the queue."""
    if live_slots <= 0:
        return 0
    return min(MAX_WINDOW, max(2 * live_slots, int(CLAIM_BUFFER_S * claims_per_s)))


def pause(flow: QueueFlow) -> float:
    """Seconds until a quarter of what is in flight will have been claimed: many messages at once cost less each."""
    if not flow.claims_per_s:
        return MIN_PAUSE_S
    return max(MIN_PAUSE_S, min(MAX_PAUSE_S, flow.in_flight / flow.claims_per_s / 4))
