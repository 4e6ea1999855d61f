"""In whatever order versions are received, each is new once, and the newest one is current."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector_k8s.events.versions import CurrentVersion, age_order, new_versions, plan_versions
from tests.collector_k8s.sample_events import event


def test_the_newest_version_of_a_new_event_is_current() -> None:
    planned = plan_versions([event("a", 9), event("a", 10), event("b", 3), event("a", 8)], {})

    assert [(one.uid, one.resource_version) for one in planned.current] == [("a", "10"), ("b", "3")]
    assert [one.resource_version for one in planned.earlier] == ["9", "8"]
    assert planned.superseded == []


def test_a_newer_version_supersedes_the_stored_one() -> None:
    planned = plan_versions([event("a", 10)], {"a": CurrentVersion(id=5, resource_version="9")})

    assert planned.superseded == [5]


def test_an_older_version_is_stored_as_an_earlier_one() -> None:
    planned = plan_versions([event("a", 8)], {"a": CurrentVersion(id=5, resource_version="9")})

    assert (planned.current, planned.superseded) == ([], [])
    assert len(planned.earlier) == 1


def test_after_a_set_back_any_other_version_is_newer() -> None:
    known = {"a": CurrentVersion(id=5, resource_version="9", outdated=frozenset({"7", "9"}))}

    restored = new_versions([event("a", 7), event("a", 8)], known)
    planned = plan_versions(restored, known)

    assert [one.resource_version for one in planned.current] == ["8"]
    assert planned.superseded == [5]


def test_stored_and_repeated_versions_are_not_new() -> None:
    known = {"a": CurrentVersion(id=5, resource_version="9")}

    new = new_versions([event("a", 9), event("b", 1), event("b", 1)], known)

    assert [(one.uid, one.resource_version) for one in new] == [("b", "1")]


@given(st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 30)), max_size=6), max_size=8))
def test_the_newest_version_is_current_after_any_batches(batches: list[list[tuple[str, int]]]) -> None:
    stored: dict[str, CurrentVersion] = {}

    for batch in batches:
        planned = plan_versions(new_versions([event(*one) for one in batch], stored), stored)
        assert {one.id for one in stored.values() if one.id in planned.superseded} == set(planned.superseded)
        stored |= {one.uid: CurrentVersion(int(one.resource_version), one.resource_version) for one in planned.current}

    received = [one for batch in batches for one in batch]
    newest = {uid: max(version for of, version in received if of == uid) for uid, _ in received}
    assert {uid: int(one.resource_version) for uid, one in stored.items()} == newest


def test_versions_are_compared_as_numbers() -> None:
    assert age_order("10") > age_order("9")
