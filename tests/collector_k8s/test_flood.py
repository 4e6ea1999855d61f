"""Of one reason in a namespace so many events a minute are stored; the others are counted, exactly."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from collector_k8s.flood import Tally, admit, at_minute, without_flooded
from tests.collector_k8s.made_events import NOON, event

HOUR = timedelta(hours=1)


def test_what_is_beyond_the_limit_is_counted_by_its_source() -> None:
    came = [event(str(i), reason="BackOff") for i in range(5)] + [event(str(i), reason="Killing") for i in range(2)]

    admitted, flooded, _ = admit(at_minute(Tally(), NOON, HOUR), came, limit=3)

    assert len(admitted) == 5
    assert flooded == {("shop", "BackOff"): 2}


def test_the_minute_is_counted_over_several_batches() -> None:
    tally = at_minute(Tally(), NOON, HOUR)
    _, _, tally = admit(tally, [event("a"), event("b")], limit=3)

    admitted, flooded, _ = admit(
        at_minute(tally, NOON + timedelta(seconds=59), HOUR), [event("c"), event("d")], limit=3
    )

    assert [one.uid for one in admitted] == ["c"]
    assert flooded.total() == 1


def test_counting_begins_anew_with_the_next_minute() -> None:
    _, _, tally = admit(at_minute(Tally(), NOON, HOUR), [event("a"), event("b")], limit=1)

    admitted, flooded, _ = admit(at_minute(tally, NOON + timedelta(minutes=1), HOUR), [event("c")], limit=1)

    assert len(admitted) == 1
    assert not flooded


def test_a_list_that_looks_again_does_not_bring_what_was_only_counted() -> None:
    _, _, tally = admit(at_minute(Tally(), NOON, HOUR), [event("a"), event("b")], limit=1)
    listed = [event("b"), event("c", reason="Killing")]

    soon = at_minute(tally, NOON + timedelta(minutes=5), HOUR)
    late = at_minute(tally, NOON + timedelta(minutes=61), HOUR)

    assert [one.reason for one in without_flooded(soon, listed)] == ["Killing"]
    assert len(without_flooded(late, listed)) == 2


@given(st.lists(st.lists(st.sampled_from(["BackOff", "Killing"]), max_size=10), max_size=8), st.integers(1, 12))
def test_every_event_is_either_stored_or_counted(batches: list[list[str]], limit: int) -> None:
    tally = at_minute(Tally(), NOON, HOUR)
    stored: list[str] = []
    counted = 0

    for batch in batches:
        admitted, flooded, tally = admit(tally, [event(reason=reason) for reason in batch], limit)
        stored += [one.reason for one in admitted]
        counted += flooded.total()

    assert len(stored) + counted == sum(map(len, batches))
    assert all(stored.count(reason) <= limit for reason in ("BackOff", "Killing"))
