"""The task that an alert's rule has: whether its type would take it, and the task itself once the alert is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import jsonschema_rs

from taskcore.domain import templates
from taskcore.domain.alerts import TEMPLATE_VARIABLES
from taskcore.domain.tasks import MAX_NAME, NewTask
from taskcore.settings import AlertRule, AlertTask

ALERT_LABEL = "taskcore.io/alert"
MAX_ERRORS = 20

#: What a type's schema has against these parameters.
FindErrors = Callable[[dict[str, Any]], Iterable[jsonschema_rs.ValidationError]]
#: The path of what is at fault in a list of rules, and why.
FieldError = tuple[tuple[str | int, ...], str]

#: Which errors stay whatever a text will say: those of its kind and of what surrounds it, not of its content.
_SHAPE_ERRORS = frozenset(
    {
        "additionalProperties",
        "dependentRequired",
        "falseSchema",
        "maxItems",
        "maxProperties",
        "minItems",
        "minProperties",
        "required",
        "type",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
#: Of these one alternative suffices, so that each must be impossible.
_ALTERNATIVE_ERRORS = frozenset({"anyOf", "oneOf"})


def rule_errors(rules: Sequence[AlertRule], types: Mapping[str, FindErrors]) -> Iterator[FieldError]:
    """What the known `types` have against the tasks of `rules`."""
    for index, rule in enumerate(rules):
        if rule.task is None:
            continue
        if rule.task.type not in types:
            why = f"unknown task type {rule.task.type!r}: no worker has registered it"
            yield (index, "task", "type"), why
            continue
        for path, why in islice(_parameter_errors(rule.task, types[rule.task.type]), MAX_ERRORS):
            yield (index, "task", "parameters", *path), why


def new_task(task: AlertTask, alert_id: int, words: Mapping[str, str], timeout_s: float | None) -> NewTask:
    """The task to store. Texts that are filled in may have become too long for a name, which is cut."""
    return NewTask(
        name=templates.render(task.name, words)[:MAX_NAME] or words["rule"],
        type=task.type,
        queue=task.queue,
        parameters=templates.render(task.parameters, words),
        max_attempts=task.max_attempts,
        timeout_s=timeout_s,
        labels={ALERT_LABEL: str(alert_id)},
    )


def schema_errors(schema: dict[str, Any]) -> FindErrors:
    """Of a schema that is none, which is a worker's mistake: nothing. Whoever runs the task checks again."""
    try:
        return jsonschema_rs.Draft202012Validator(schema, offline=True, mask="the value").iter_errors
    except (ValueError, jsonschema_rs.ReferencingError):
        return lambda _: ()


def _parameter_errors(task: AlertTask, errors: FindErrors) -> Iterator[FieldError]:
    filled = templates.render(task.parameters, {name: name for name in TEMPLATE_VARIABLES})
    for error in errors(filled):
        if _is_unavoidable(error, task.parameters):
            yield tuple(error.instance_path), error.message


def _is_unavoidable(error: jsonschema_rs.ValidationError, parameters: dict[str, Any]) -> bool:
    """Whether it is an error whatever the texts will say."""
    kind: Any = error.kind
    if not templates.has_variables(_at(parameters, error.instance_path)) or kind.name in _SHAPE_ERRORS:
        return True
    if kind.name not in _ALTERNATIVE_ERRORS:
        return False
    return all(any(_is_unavoidable(one, parameters) for one in branch) for branch in kind.context)


def _at(value: Any, path: Iterable[str | int]) -> Any:
    for part in path:
        value = value[part]
    return value
