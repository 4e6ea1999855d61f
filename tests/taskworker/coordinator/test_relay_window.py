"""How many messages the relay keeps in the broker, and how long it pauses between rounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskworker.coordinator.relay_window import (
    IDLE_S,
    MAX_PAUSE_S,
    MAX_WINDOW,
    MIN_PAUSE_S,
    QueueFlow,
    plan_pause,
    window,
)

SLOW = QueueFlow(in_flight=8, claims_per_s=100)
FAST = QueueFlow(in_flight=40, claims_per_s=2_000)
EMPTY = QueueFlow(in_flight=0, claims_per_s=1_000)
UNCLAIMED = QueueFlow(in_flight=8, claims_per_s=0)


@pytest.mark.parametrize(
    ("live_slots", "claims_per_s", "size"),
    [
        (0, 1_000, 0),
        (8, 0, 16),
        (8, 30, 16),
        (8, 1_000, 500),
        (8, 1_000_000, MAX_WINDOW),
    ],
)
def test_window_is_twice_the_slots_or_half_a_second_of_claims(live_slots: int, claims_per_s: float, size: int) -> None:
    assert window(live_slots, claims_per_s) == size


@pytest.mark.parametrize(("round_s", "size"), [(0.1, 500), (1, 2_000), (3, 6_000), (60, 10_000)])
def test_window_lasts_for_the_rounds_of_a_relay_with_many_queues(round_s: float, size: int) -> None:
    assert window(8, 1_000, round_s) == size


@pytest.mark.parametrize(
    ("flows", "sent", "has_backlog", "next_due_s", "last_pause_s", "pause_s"),
    [
        # Messages were sent: until the fastest queue has claimed a quarter of what is in flight.
        ([SLOW], 8, True, None, IDLE_S, 0.02),
        ([SLOW, FAST], 8, True, None, IDLE_S, MIN_PAUSE_S),
        ([SLOW, EMPTY], 8, False, None, IDLE_S, 0.02),
        ([UNCLAIMED], 8, True, None, IDLE_S, MIN_PAUSE_S),
        ([QueueFlow(1_000, 5_000)], 8, True, None, IDLE_S, 0.05),
        ([QueueFlow(1_000, 10)], 8, True, None, IDLE_S, MAX_PAUSE_S),
        # A backlog without room: at growing intervals, from the shortest on.
        ([SLOW], 0, True, None, IDLE_S, MIN_PAUSE_S),
        ([SLOW], 0, True, None, MIN_PAUSE_S, 1.5 * MIN_PAUSE_S),
        ([SLOW], 0, True, None, MAX_PAUSE_S, MAX_PAUSE_S),
        # Nothing to send: until the next delayed task is due.
        ([EMPTY], 0, False, None, MIN_PAUSE_S, IDLE_S),
        ([EMPTY], 0, False, 0.4, MIN_PAUSE_S, 0.4),
        ([EMPTY], 0, False, 0.0, MIN_PAUSE_S, MIN_PAUSE_S),
        ([EMPTY], 0, False, 3_600.0, MIN_PAUSE_S, IDLE_S),
        ([], 0, False, None, IDLE_S, IDLE_S),
    ],
)
def test_pause_after_a_round(
    flows: list[QueueFlow],
    sent: int,
    has_backlog: bool,
    next_due_s: float | None,
    last_pause_s: float,
    pause_s: float,
) -> None:
    planned = plan_pause(flows, sent=sent, has_backlog=has_backlog, next_due_s=next_due_s, last_pause_s=last_pause_s)

    assert planned == pytest.approx(pause_s)


def test_flow_counts_what_is_no_longer_in_flight_as_claimed() -> None:
    flow = QueueFlow().dispatched(100).observe(in_flight=40, elapsed_s=0.5)

    assert flow == QueueFlow(in_flight=40, claims_per_s=60.0)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=50))
def test_flow_never_sees_negative_claims(rounds: list[tuple[int, int]]) -> None:
    flow = QueueFlow()

    for in_flight, dispatched in rounds:
        flow = flow.observe(in_flight, 0.01).dispatched(dispatched)

    assert flow.claims_per_s >= 0
