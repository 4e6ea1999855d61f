"""What rules make of events: which rule matches, what is counted, and what templates may contain."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, lists, tuples
from pydantic import ValidationError

from taskcore.domain.alerts import TEMPLATE_VARIABLES, aggregate_updates, first_matching_rule
from taskcore.domain.kubernetes_events import StoredEvent
from taskcore.settings import AlertRule, AlertSettings, AlertTask
from taskcore.submission.from_alert import new_task, rule_errors
from taskcore.submission.schemas import compile_schema

AT = datetime(2030, 1, 2, tzinfo=UTC)
EMAIL = {
    "type": "object",
    "properties": {
        "to": {"type": "array", "items": {"type": "string", "pattern": "@"}, "minItems": 1},
        "subject": {"type": "string", "maxLength": 20, "enum": ["nothing else"]},
        "sender": {"anyOf": [{"type": "string", "pattern": "@"}, {"type": "null"}]},
        "port": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
    "required": ["to"],
    "additionalProperties": False,
}


EVENT = StoredEvent(
    uid="u-1",
    resource_version="1",
    namespace="shop",
    kind="Pod",
    name="web-1",
    reason="BackOff",
    type="Warning",
    message="Back-off restarting",
    component="kubelet",
    count=1,
    first_at=AT,
    at=AT,
    id=1,
    cluster="home",
)


def stored(id: int = 1, **changes: Any) -> StoredEvent:
    return replace(EVENT, id=id, **changes)


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


def test_a_template_is_rendered_wherever_there_is_text() -> None:
    parameters = {"to": ["ops@$cluster.example"], "$kind": {"n": 5, "text": "$kind $object: ${message} for $$5"}}
    task = AlertTask(type="send_email", parameters=parameters, queue="mail", max_attempts=9)
    (seen,) = aggregate_updates([(AlertRule(name="mine"), stored(message="$cluster"))], {})

    task_of_alert = new_task(task, 12, seen.template_values, 30.0)

    text = "Pod web-1: $cluster for $5"
    assert task_of_alert.parameters == {"to": ["ops@home.example"], "$kind": {"n": 5, "text": text}}
    assert (
        task_of_alert.name,
        task_of_alert.type,
        task_of_alert.queue,
        task_of_alert.max_attempts,
        task_of_alert.timeout_s,
    ) == (
        "mine: BackOff",
        "send_email",
        "mail",
        9,
        30.0,
    )
    assert task_of_alert.labels == {"taskcore.io/alert": "12"}


@pytest.mark.parametrize(("message", "name"), [("m" * 300, "m" * 255), ("", "mine")])
def test_a_rendered_name_is_truncated_or_falls_back_to_the_rules_name(message: str, name: str) -> None:
    (seen,) = aggregate_updates([(AlertRule(name="mine"), stored(message=message))], {})

    assert new_task(AlertTask(type="noop", name="$message"), 1, seen.template_values, None).name == name


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


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({"to": ["ops@$cluster"], "subject": "$message"}, None),
        ({"to": ["$object"], "sender": "$object"}, None),  # it may become one
        ({"to": ["nobody"]}, ("to", 0)),
        ({"to": "$object"}, ("to",)),
        ({"to": []}, ("to",)),
        ({"to": ["a@b"], "port": "$object"}, ("port",)),
        ({"to": ["a@b"], "sender": "nobody"}, ("sender",)),
        ({"to": ["a@b"], "subject": "$$5"}, ("subject",)),
        ({"to": ["a@b"], "body": "$message"}, ()),
        ({"subject": "$message"}, ()),
    ],
)
def test_parameters_that_no_event_can_make_valid_are_refused(
    parameters: dict[str, Any], path: tuple[str | int, ...] | None
) -> None:
    rules = [AlertRule(name="inactivity"), AlertRule(name="mine", task=AlertTask(type="mail", parameters=parameters))]

    found = [fault for fault, _ in rule_errors(rules, {"mail": compile_schema(EMAIL, "mail")})]

    assert found == ([] if path is None else [(1, "task", "parameters", *path)])


def test_an_unknown_type_is_refused_and_an_invalid_schema_is_ignored() -> None:
    rules = [AlertRule(name="mine", task=AlertTask(type="mail"))]

    assert [path for path, _ in rule_errors(rules, {})] == [(0, "task", "type")]
    assert list(rule_errors(rules, {"mail": compile_schema({"type": 5}, "mail")})) == []


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
