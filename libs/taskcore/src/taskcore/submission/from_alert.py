"""The task of an alert rule: whether its type would accept it, and the task itself once an alert has fired."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import jsonschema_rs

from taskcore.domain import templates
from taskcore.domain.alerts import TEMPLATE_VARIABLES
from taskcore.domain.tasks import MAX_NAME, NewTask
from taskcore.settings import AlertRule, AlertTask
from taskcore.submission.schemas import FindErrors

ALERT_LABEL = "taskcore.io/alert"
MAX_ERRORS = 20

#: Path and message of an error in a list of rules.
FieldError = tuple[tuple[str | int, ...], str]

#: Errors that no content of a template can avoid: they are about the type of a value, or about what surrounds it.
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
#: One alternative is enough, so these are unavoidable only if every alternative is.
_ALTERNATIVE_ERRORS = frozenset({"anyOf", "oneOf"})


def rule_errors(rules: Sequence[AlertRule], types: Mapping[str, FindErrors]) -> Iterator[FieldError]:
    """Yield the errors that the known `types` find in the tasks of `rules`, whatever the alerts will be."""
    for index, rule in enumerate(rules):
        if rule.task is None:
            continue
        if rule.task.type not in types:
            message = f"unknown task type {rule.task.type!r}: no worker has registered it"
            yield (index, "task", "type"), message
            continue
        for path, message in islice(_parameter_errors(rule.task, types[rule.task.type]), MAX_ERRORS):
            yield (index, "task", "parameters", *path), message


def new_task(task: AlertTask, alert_id: int, words: Mapping[str, str], timeout_s: float | None) -> NewTask:
    """Return the task to store. Its name is cut if the filled template is too long."""
    return NewTask(
        name=templates.render(task.name, words)[:MAX_NAME] or words["rule"],
        type=task.type,
        queue=task.queue,
        parameters=templates.render(task.parameters, words),
        max_attempts=task.max_attempts,
        timeout_s=timeout_s,
        labels={ALERT_LABEL: str(alert_id)},
    )


def _parameter_errors(task: AlertTask, errors: FindErrors) -> Iterator[FieldError]:
    filled = templates.render(task.parameters, {name: name for name in TEMPLATE_VARIABLES})
    for error in errors(filled):
        if _is_unavoidable(error, task.parameters):
            yield tuple(error.instance_path), error.message


def _is_unavoidable(error: jsonschema_rs.ValidationError, parameters: dict[str, Any]) -> bool:
    """Return whether this is an error whatever the templates will be filled with."""
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
