"""Of one reason in a namespace so many events a minute are stored; the others are counted, exactly."""

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


def test_what_is_beyond_the_limit_is_counted_by_its_source() -> None:
    came = [event(str(i), reason="BackOff") for i in range(5)] + [event(str(i), reason="Killing") for i in range(2)]

    admitted, flooded, _ = admit(RateState(NOON), came, limit=3)

    assert len(admitted) == 5
    assert flooded == {("shop", "BackOff", NOON): 2}


def test_the_minute_is_counted_over_several_batches() -> None:
    tally = RateState(NOON)
    _, _, tally = admit(tally, [event("a"), event("b")], limit=3)

    admitted, flooded, _ = admit(advance(tally, SOON, HOUR), [event("c"), event("d", at=SOON)], limit=3)

    assert [one.uid for one in admitted] == ["c"]
    assert flooded.total() == 1


def test_counting_begins_anew_with_the_next_minute() -> None:
    _, _, tally = admit(RateState(NOON), [event("a"), event("b")], limit=1)

    admitted, flooded, _ = admit(advance(tally, NOON + MINUTE, HOUR), [event("c", at=NOON + MINUTE)], limit=1)

    assert len(admitted) == 1
    assert not flooded


def test_what_a_list_brings_of_an_hour_is_no_flood_of_the_minute_it_comes_in() -> None:
    listed = [event(str(number), at=NOON - timedelta(seconds=10 * number)) for number in range(300)]

    admitted, flooded, tally = admit(RateState(NOON), listed, limit=100)

    assert admitted == listed
    assert not flooded
    assert drop_limited(tally, [event("missed")])


def test_a_flood_that_is_read_later_is_one_of_its_own_minute() -> None:
    came = [event(str(number), at=NOON + timedelta(seconds=number)) for number in range(5)]

    _, flooded, tally = admit(RateState(NOON + HOUR), came, limit=3)

    assert flooded == {("shop", "BackOff", NOON): 2}
    assert drop_limited(tally, [event("other", at=NOON + MINUTE), *came]) == [event("other", at=NOON + MINUTE)]


def test_what_says_that_it_is_of_later_is_counted_now_and_left_alone_when_it_is_listed() -> None:
    came = [event(str(number), at=NOON + number * MINUTE) for number in range(1, 6)]

    _, flooded, tally = admit(RateState(NOON), came, limit=3)

    assert flooded == {("shop", "BackOff", NOON): 2}
    assert drop_limited(advance(tally, NOON + 2 * MINUTE, HOUR), came) == came[:3]


def test_however_many_minutes_come_so_many_are_remembered() -> None:
    came = [event(str(number), reason=f"r{number // 2}") for number in range(2 * rate_limit.MAX_KEYS + 20)]

    _, flooded, tally = admit(RateState(NOON), came, limit=1)

    assert len(tally.counts) == len(tally.limited_at) == rate_limit.MAX_KEYS
    assert flooded.total() == rate_limit.MAX_KEYS + 10


def test_a_list_that_looks_again_does_not_bring_what_was_only_counted() -> None:
    _, _, tally = admit(RateState(NOON), [event("a"), event("b")], limit=1)
    listed = [event("b"), event("c", reason="Killing")]

    soon = advance(tally, NOON + 5 * MINUTE, HOUR)
    late = advance(tally, NOON + 61 * MINUTE, HOUR)

    assert [one.reason for one in drop_limited(soon, listed)] == ["Killing"]
    assert len(drop_limited(late, listed)) == 2


@given(st.lists(st.lists(st.sampled_from(["BackOff", "Killing"]), max_size=10), max_size=8), st.integers(1, 12))
def test_every_event_is_either_stored_or_counted(batches: list[list[str]], limit: int) -> None:
    tally = RateState(NOON)
    stored: list[str] = []
    counted = 0

    for batch in batches:
        admitted, flooded, tally = admit(tally, [event(reason=reason) for reason in batch], limit)
        stored += [one.reason for one in admitted]
        counted += flooded.total()

    assert len(stored) + counted == sum(map(len, batches))
    assert all(stored.count(reason) <= limit for reason in ("BackOff", "Killing"))
