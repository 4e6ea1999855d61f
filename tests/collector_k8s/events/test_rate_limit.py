"""Up to a number of events per namespace, reason and minute are stored, and the others are counted exactly."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from collector_k8s.events import rate_limit
from collector_k8s.events.rate_limit import RateState, admit, advance, drop_limited
from tests.collector_k8s.sample_events import NOON, event

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SOON = NOON + timedelta(seconds=59)


def test_events_above_the_limit_are_counted_by_key() -> None:
    received = [event(str(i), reason="BackOff") for i in range(5)] + [event(str(i), reason="Killing") for i in range(2)]

    admitted, limited, _ = admit(RateState(NOON), received, limit=3)

    assert len(admitted) == 5
    assert limited == {("shop", "BackOff", NOON): 2}


def test_a_minute_is_counted_across_batches() -> None:
    state = RateState(NOON)
    _, _, state = admit(state, [event("a"), event("b")], limit=3)

    admitted, limited, _ = admit(advance(state, SOON, HOUR), [event("c"), event("d", at=SOON)], limit=3)

    assert [one.uid for one in admitted] == ["c"]
    assert limited.total() == 1


def test_the_next_minute_has_a_new_count() -> None:
    _, _, state = admit(RateState(NOON), [event("a"), event("b")], limit=1)

    admitted, limited, _ = admit(advance(state, NOON + MINUTE, HOUR), [event("c", at=NOON + MINUTE)], limit=1)

    assert len(admitted) == 1
    assert not limited


def test_a_list_of_old_events_does_not_count_towards_the_current_minute() -> None:
    listed = [event(str(number), at=NOON - timedelta(seconds=10 * number)) for number in range(300)]

    admitted, limited, state = admit(RateState(NOON), listed, limit=100)

    assert admitted == listed
    assert not limited
    assert drop_limited(state, [event("missed")])


def test_a_burst_that_is_read_late_counts_towards_its_own_minute() -> None:
    received = [event(str(number), at=NOON + timedelta(seconds=number)) for number in range(5)]

    _, limited, state = admit(RateState(NOON + HOUR), received, limit=3)

    assert limited == {("shop", "BackOff", NOON): 2}
    assert drop_limited(state, [event("other", at=NOON + MINUTE), *received]) == [event("other", at=NOON + MINUTE)]


def test_events_from_the_future_count_towards_the_current_minute() -> None:
    received = [event(str(number), at=NOON + number * MINUTE) for number in range(1, 6)]

    _, limited, state = admit(RateState(NOON), received, limit=3)

    assert limited == {("shop", "BackOff", NOON): 2}
    assert drop_limited(advance(state, NOON + 2 * MINUTE, HOUR), received) == received[:3]


def test_the_number_of_remembered_keys_is_limited() -> None:
    received = [event(str(number), reason=f"r{number // 2}") for number in range(2 * rate_limit.MAX_KEYS + 20)]

    _, limited, state = admit(RateState(NOON), received, limit=1)

    assert len(state.counts) == len(state.limited_at) == rate_limit.MAX_KEYS
    assert limited.total() == rate_limit.MAX_KEYS + 10


def test_a_relist_does_not_bring_back_limited_events() -> None:
    _, _, state = admit(RateState(NOON), [event("a"), event("b")], limit=1)
    relisted = [event("b"), event("c", reason="Killing")]

    soon = advance(state, NOON + 5 * MINUTE, HOUR)
    late = advance(state, NOON + 61 * MINUTE, HOUR)

    assert [one.reason for one in drop_limited(soon, relisted)] == ["Killing"]
    assert len(drop_limited(late, relisted)) == 2


@given(st.lists(st.lists(st.sampled_from(["BackOff", "Killing"]), max_size=10), max_size=8), st.integers(1, 12))
def test_every_event_is_either_stored_or_counted(batches: list[list[str]], limit: int) -> None:
    state = RateState(NOON)
    stored: list[str] = []
    counted = 0

    for batch in batches:
        admitted, limited, state = admit(state, [event(reason=reason) for reason in batch], limit)
        stored += [one.reason for one in admitted]
        counted += limited.total()

    assert len(stored) + counted == sum(map(len, batches))
    assert all(stored.count(reason) <= limit for reason in ("BackOff", "Killing"))
