"""What rules make of events: which rule matches, what is counted, and what templates may contain."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, lists, tuples
from pydantic import ValidationError

from taskcore.domain.alerts import TEMPLATE_VARIABLES, aggregate_updates, first_matching_rule
from taskcore.domain.kubernetes_events import StoredEvent
from taskcore.settings import AlertRule, AlertSettings
from tests.taskcore.stored_events import AT, stored


@pytest.mark.parametrize(
    ("event", "rule"),
    [
        (stored(), "warning"),
        (stored(type="Normal"), None),
        (stored(reason="Failed"), "pod_failed"),
        (stored(reason="Failed", kind="Job"), "warning"),
        (stored(reason="FailedScheduling"), "failed_scheduling"),
        (stored(reason="OOMKilling", type="Normal", kind="Node"), "oom_killed"),
        (stored(reason="SystemOOM", kind="Node"), "oom_killed"),
        (stored(reason="Unhealthy"), None),
        (stored(reason="Unhealthy", count=4), None),
        (stored(reason="Unhealthy", count=5), "unhealthy"),
    ],
)
def test_the_first_matching_rule_applies(event: StoredEvent, rule: str | None) -> None:
    found = first_matching_rule(AlertSettings().rules, event)

    assert (found and found.name) == rule


def test_an_update_counts_the_growth_of_an_event_and_at_least_one() -> None:
    rule = AlertRule(name="all")
    grown, same, first = stored(1, name="a", count=7), stored(2, name="b", count=4), stored(3, name="c", count=5)

    seen = aggregate_updates([(rule, event) for event in (first, same, grown)], {1: 5, 2: 4})

    assert [(one.name, one.count) for one in seen] == [("a", 2), ("b", 1), ("c", 5)]


def test_a_new_event_was_first_seen_when_the_cluster_says() -> None:
    rule = AlertRule(name="all")
    event = stored(first_at=AT - timedelta(hours=1), count=9)

    (new,), (known,) = aggregate_updates([(rule, event)], {}), aggregate_updates([(rule, event)], {1: 8})

    assert (new.first_at, known.first_at) == (AT - timedelta(hours=1), AT)


def test_events_of_one_object_and_reason_make_one_update_with_the_last_message() -> None:
    rule = AlertRule(name="all")
    later = stored(2, message="later", at=AT + timedelta(minutes=1), first_at=AT + timedelta(minutes=1))

    (one,) = aggregate_updates([(rule, later), (rule, stored(1, message="earlier"))], {})

    assert (one.count, one.message, one.first_at, one.last_at) == (2, "later", AT, later.at)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"name": "$objct"}, "uses unknown $objct; available: $cluster,"),
        ({"parameters": {"a": [{"b": "$Kind"}]}}, "a.0.b: uses unknown $Kind"),
        ({"parameters": {"a": "5 $"}}, "a: has a $ that does not start a name: write $$ for a dollar sign"),
        ({"parameters": {"a": "nul \0"}}, "a: contains a NUL character"),
    ],
)
def test_an_invalid_template_is_refused_as_a_setting(members: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=r"task\.(name|parameters)") as refused:
        AlertSettings.model_validate({"rules": [{"name": "mine", "task": {"type": "noop", **members}}]})

    assert said in str(refused.value)


def test_duplicate_rule_names_are_refused_as_a_setting() -> None:
    with pytest.raises(ValidationError, match="two rules are named mine"):
        AlertSettings(rules=(AlertRule(name="mine"), AlertRule(name="mine")))


def test_every_template_variable_has_a_value() -> None:
    (seen,) = aggregate_updates([(AlertRule(name="mine"), replace(stored(), name="the object"))], {})

    assert tuple(seen.template_values) == TEMPLATE_VARIABLES
    assert (seen.template_values["object"], seen.template_values["rule"]) == ("the object", "mine")


@settings(deadline=None)
@given(
    versions=lists(tuples(integers(0, 2), integers(1, 5)), max_size=12),
    cuts=lists(integers(0, 12), max_size=5),
)
def test_counts_do_not_depend_on_the_batches_of_versions(versions: list[tuple[int, int]], cuts: list[int]) -> None:
    rule, total, counts, previous = AlertRule(name="all"), 0, dict[int, int](), dict[int, int]()
    for first, last in pairwise([0, *sorted(cuts), len(versions)]):
        for event_id, more in versions[first:last]:
            counts[event_id] = counts.get(event_id, 0) + more
        current = {event_id for event_id, _ in versions[first:last]}

        seen = aggregate_updates([(rule, stored(event_id, count=counts[event_id])) for event_id in current], previous)

        total += sum(one.count for one in seen)
        previous |= {event_id: counts[event_id] for event_id in current}

    assert total == sum(counts.values())
