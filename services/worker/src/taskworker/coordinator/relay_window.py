"""How many messages of a queue the relay keeps in the broker, and how long it pauses between rounds. Pure.

Few messages, so that a task of higher priority overtakes those still in PostgreSQL; enough, so that no worker waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: How many seconds' worth of claims a window holds at least.
CLAIM_BUFFER_S = 0.5
MAX_BUFFER_S = 10.0
SMOOTHING = 0.5
MAX_WINDOW = 20_000
MIN_PAUSE_S = 0.005
MAX_PAUSE_S = 0.1
BACKOFF = 1.5
#: The pause of a relay without anything to send.
IDLE_S = 1.0


@dataclass(frozen=True, slots=True)
class QueueFlow:
    """What this relay observed of a queue: messages `in_flight` after its last dispatch, and smoothed claims a second.

    Each of several relays sees only its own share, so their windows add up to at most the window of a single one.
    """

    in_flight: int = 0
    claims_per_s: float = 0.0

    def observe(self, in_flight: int, elapsed_s: float) -> QueueFlow:
        """Return the flow `elapsed_s` after the last observation: what is no longer in flight was claimed."""
        seen = max(0, self.in_flight - in_flight) / max(elapsed_s, 0.001)
        return QueueFlow(in_flight, self.claims_per_s + SMOOTHING * (seen - self.claims_per_s))

    def dispatched(self, count: int) -> QueueFlow:
        return QueueFlow(self.in_flight + count, self.claims_per_s)


def window(live_slots: int, claims_per_s: float, round_s: float = 0.0) -> int:
    """Return how many messages a queue may have in flight: none when no live worker serves it.

    They last until the queue's next turn: a round takes `round_s`, which is long when there are many queues.
    """
    if live_slots <= 0:
        return 0
    buffer_s = min(MAX_BUFFER_S, max(CLAIM_BUFFER_S, 2 * round_s))
    return min(MAX_WINDOW, max(2 * live_slots, int(buffer_s * claims_per_s)))


def plan_pause(
    flows: Iterable[QueueFlow], *, sent: int, has_backlog: bool, next_due_s: float | None, last_pause_s: float
) -> float:
    """Return how many seconds the relay pauses after a round.

    A round that sent messages pauses until the fastest queue has claimed a quarter of them. A backlog without room in
    any window is polled at growing intervals. Without a backlog the relay sleeps until `next_due_s`, when the next
    delayed task is due.
    """
    if sent:
        return min((_quarter_claimed_s(flow) for flow in flows if flow.in_flight), default=MIN_PAUSE_S)
    if has_backlog:
        return min(MAX_PAUSE_S, last_pause_s * BACKOFF) if last_pause_s < IDLE_S else MIN_PAUSE_S
    return IDLE_S if next_due_s is None else min(IDLE_S, max(MIN_PAUSE_S, next_due_s))


def _quarter_claimed_s(flow: QueueFlow) -> float:
    """Return the time until a quarter of what is in flight is claimed: sending many messages at once is cheaper."""
    if not flow.claims_per_s:
        return MIN_PAUSE_S
    return max(MIN_PAUSE_S, min(MAX_PAUSE_S, flow.in_flight / flow.claims_per_s / 4))
