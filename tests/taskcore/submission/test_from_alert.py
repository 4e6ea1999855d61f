"""The task of an alert rule: which parameters are refused, and what an event makes of the others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import text

from taskcore.domain.alerts import aggregate_updates
from taskcore.settings import AlertRule, AlertTask
from taskcore.submission.from_alert import new_task, rule_errors
from taskcore.submission.schemas import compile_schema
from tests.taskcore.stored_events import stored

EMAIL = {
    "type": "object",
    "properties": {
        "to": {"type": "array", "items": {"type": "string", "pattern": "@"}, "minItems": 1},
        "subject": {"type": "string", "maxLength": 20, "pattern": r"^[ -~]*$"},
        "kind": {"enum": ["Pod", "Node"]},
        "sender": {"anyOf": [{"type": "string", "pattern": "@"}, {"type": "null"}]},
        "note": {"anyOf": [{"type": "string", "maxLength": 10, "minLength": 1}, {"type": "null"}]},
        "port": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
    "required": ["to"],
    "additionalProperties": False,
}


ANYTHING = compile_schema({}, "anything")


def test_a_template_is_rendered_wherever_there_is_text() -> None:
    parameters = {"to": ["ops@$cluster.example"], "$kind": {"n": 5, "text": "$kind $object: ${message} for $$5"}}
    task = AlertTask(type="send_email", parameters=parameters, queue="mail", max_attempts=9)
    (seen,) = aggregate_updates([(AlertRule(name="mine"), stored(message="$cluster"))], {})

    task_of_alert = new_task(task, 12, seen.template_values, 30.0, ANYTHING)

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


@pytest.mark.parametrize(("message", "name"), [("m" * 300, "m" * 255), ("", "mine"), ("two\nlines\x1c", "two lines")])
def test_a_rendered_name_is_truncated_or_falls_back_to_the_rules_name(message: str, name: str) -> None:
    (seen,) = aggregate_updates([(AlertRule(name="mine"), stored(message=message))], {})

    assert new_task(AlertTask(type="noop", name="$message"), 1, seen.template_values, None, ANYTHING).name == name


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({"to": ["ops@$cluster"], "subject": "$message"}, None),
        ({"to": ["$object@shop"], "subject": "$$5", "sender": "@$message"}, None),
        ({"to": ["a@b"], "note": "$rule: $message"}, None),
        ({"to": ["a@b"], "kind": "$kind"}, ("kind",)),
        ({"to": ["$object"]}, ("to", 0)),
        ({"to": ["a@b"], "note": "$message"}, ("note",)),  # it may be empty
        ({"to": ["someone"]}, ("to", 0)),
        ({"to": "$object"}, ("to",)),
        ({"to": []}, ("to",)),
        ({"to": ["a@b"], "port": "$object"}, ("port",)),
        ({"to": ["a@b"], "sender": "someone"}, ("sender",)),
        ({"to": ["a@b"], "subject": "ü"}, ("subject",)),
        ({"to": ["a@b"], "body": "$message"}, ()),
        ({"subject": "$message"}, ()),
    ],
)
def test_parameters_that_some_event_would_make_invalid_are_refused(
    parameters: dict[str, Any], path: tuple[str | int, ...] | None
) -> None:
    rules = [AlertRule(name="inactivity"), AlertRule(name="mine", task=AlertTask(type="mail", parameters=parameters))]

    found = [fault for fault, _ in rule_errors(rules, {"mail": compile_schema(EMAIL, "mail")})]

    assert found == ([] if path is None else [(1, "task", "parameters", *path)])


def test_a_rule_for_the_kinds_that_its_type_takes_is_accepted() -> None:
    task = AlertTask(type="mail", parameters={"to": ["a@b"], "kind": "$kind"})
    types = {"mail": compile_schema(EMAIL, "mail")}

    accepted, refused = AlertRule(name="a", kinds=("Node", "Pod"), task=task), AlertRule(name="b", task=task)

    assert list(rule_errors([accepted], types)) == []
    ((path, message),) = rule_errors([refused], types)
    assert path == (0, "task", "parameters", "kind")
    assert message.endswith("(with the $kind of some events)")


@pytest.mark.parametrize(
    ("message", "subject"),
    [
        ("short", "web-1: short"),
        ("two\r\nlines", "web-1: two lines"),
        ("\x1b[31mred\t", "web-1: [31mred"),
        ("ü", "web-1: ?"),
        ("=?utf-8?q?a?=", "web-1: =?utf-8?q?a?="),
        ("far too long a message", "web-1: far too long "),
    ],
)
def test_the_text_of_an_event_is_made_to_fit_its_parameter(message: str, subject: str) -> None:
    task = AlertTask(type="mail", parameters={"to": ["a@b"], "subject": "$object: $message", "note": "$rule $message"})
    (seen,) = aggregate_updates([(AlertRule(name="mine"), stored(message=message))], {})

    filled = new_task(task, 1, seen.template_values, None, compile_schema(EMAIL, "mail")).parameters

    assert filled["subject"] == subject
    assert filled["note"] == (f"mine {message}" if len(message) <= 5 else f"mine {message}"[:9] + "…")


@settings(deadline=None, max_examples=50)
@given(message=text(), kind=text(), name=text(), reason=text(), type=text())
def test_an_accepted_rule_submits_valid_parameters_for_any_event(**changes: Any) -> None:
    parameters = {"to": ["$object@$kind"], "subject": "$message $type", "sender": "$reason@b", "note": "$rule $message"}
    rule = AlertRule(name="mine", task=AlertTask(type="mail", parameters=parameters))
    find_errors = compile_schema(EMAIL, "mail")
    assert list(rule_errors([rule], {"mail": find_errors})) == []
    (seen,) = aggregate_updates([(rule, stored(**changes))], {})

    assert rule.task is not None
    filled = new_task(rule.task, 1, seen.template_values, None, find_errors).parameters

    assert list(find_errors(filled)) == []


def test_an_unknown_type_is_refused_and_an_invalid_schema_is_ignored() -> None:
    rules = [AlertRule(name="mine", task=AlertTask(type="mail"))]

    assert [path for path, _ in rule_errors(rules, {})] == [(0, "task", "type")]
    assert list(rule_errors(rules, {"mail": compile_schema({"type": 5}, "mail")})) == []
