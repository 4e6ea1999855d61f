"""What is opened in a storm: some alerts of single objects, then groups, then one alert for the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import integers, lists, sampled_from, tuples

from collector_k8s.store.alert_groups import GroupedUpdates, OpenedLately, group_keys, group_updates
from taskcore.domain.alerts import AlertKey, AlertUpdate

AT = datetime(2030, 1, 2, tzinfo=UTC)


def update(name: str, *, rule: str = "warning", kind: str = "Pod", reason: str = "BackOff", **more: Any) -> AlertUpdate:
    fields: dict[str, Any] = {"cluster": "home", "namespace": "shop", "type": "Warning", "message": name, "count": 1}
    return AlertUpdate(rule=rule, kind=kind, name=name, reason=reason, first_at=AT, last_at=AT, **(fields | more))


def group(
    *updates: AlertUpdate,
    open_keys: Collection[AlertKey] = (),
    opened: Mapping[str, OpenedLately] | None = None,
    most: int = 2,
) -> GroupedUpdates:
    return group_updates(updates, open_keys, opened or {}, most)


def shown(result: GroupedUpdates) -> list[tuple[str, str, str, str, int]]:
    return [(one.rule, one.kind, one.name, one.reason, one.count) for one in result.updates]


def test_up_to_the_maximum_each_object_has_its_alert() -> None:
    result = group(update("a"), update("b"), update("x", rule="other"))

    assert [one.name for one in result.updates] == ["a", "b", "x"]
    assert not result.grouped


def test_further_objects_are_counted_by_kind_and_reason() -> None:
    updates = [update(name) for name in "abcde"] + [update("f", reason="Failed"), update("g", kind="Job")]

    result = group(*updates, most=3)

    assert shown(result) == [
        ("warning", "Job", "* warning", "BackOff", 1),
        ("warning", "Pod", "* warning", "BackOff", 2),
        ("warning", "Pod", "* warning", "Failed", 1),
        ("warning", "Pod", "a", "BackOff", 1),
        ("warning", "Pod", "b", "BackOff", 1),
        ("warning", "Pod", "c", "BackOff", 1),
    ]
    assert result.grouped == {"warning": 4}
    assert [first.name for first in result.firsts.values()] == ["d", "f", "g"]


def test_groups_beyond_the_maximum_are_one_alert() -> None:
    result = group(*(update(name, reason=f"Reason{name}") for name in "abcdefg"))

    assert [(one.kind, one.name, one.reason, one.count) for one in result.updates] == [
        ("*", "* warning", "*", 3),
        ("Pod", "* warning", "Reasonc", 1),
        ("Pod", "* warning", "Reasond", 1),
        ("Pod", "a", "Reasona", 1),
        ("Pod", "b", "Reasonb", 1),
    ]


def test_an_open_alert_is_counted_whatever_was_opened() -> None:
    known = update("known")

    result = group(known, update("new"), open_keys={known.key}, opened={"warning": OpenedLately(alerts=2)})

    assert [one.name for one in result.updates] == ["* warning", "known"]


def test_an_open_group_takes_more_objects_whatever_was_opened() -> None:
    (open_group,) = (key for key in group_keys([update("a")]) if key[2] == "Pod")

    result = group(update("a"), open_keys={open_group}, opened={"warning": OpenedLately(2, 2)})

    assert [one.key for one in result.updates] == [open_group]


def test_rules_have_groups_of_their_own() -> None:
    updates = [update(name, rule=rule) for rule in ("one", "two") for name in (f"{rule}-{i}" for i in range(3))]

    result = group(*updates, most=1)

    assert [one.name for one in result.updates] == ["* one", "* two", "one-0", "two-0"]


@settings(deadline=None)
@given(
    events=lists(tuples(sampled_from("abcdefgh"), sampled_from("xyz"), integers(1, 9)), unique_by=lambda e: e[:2]),
    opened=integers(0, 5),
)
def test_nothing_is_lost_and_the_number_of_alerts_is_bounded(events: list[tuple[str, str, int]], opened: int) -> None:
    updates = [update(name, reason=reason, count=count) for name, reason, count in events]

    result = group(*updates, opened={"warning": OpenedLately(opened, opened)}, most=2)

    assert sum(one.count for one in result.updates) == sum(one.count for one in updates)
    assert len(result.updates) <= 2 * max(0, 2 - opened) + 1
    assert [one.key for one in result.updates] == sorted({one.key for one in result.updates})
