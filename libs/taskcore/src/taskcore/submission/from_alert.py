"""The task of an alert rule: whether its type would accept it, and the task itself once an alert has fired."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from taskcore.domain import templates
from taskcore.domain.alerts import TEMPLATE_VARIABLES
from taskcore.domain.tasks import MAX_NAME, NewTask
from taskcore.settings import AlertRule, AlertTask
from taskcore.submission.alert_parameters import fill
from taskcore.submission.schemas import FindErrors

ALERT_LABEL = "taskcore.io/alert"
MAX_ERRORS = 20

#: Path and message of an error in a list of rules.
FieldError = tuple[tuple[str | int, ...], str]

#: Of what events may contain, where their rule does not say.
SAMPLES = {
    "namespace": ("shop", "", "n" * 63),
    "kind": ("Pod", "Custom Kind\n", "K" * 256),
    "object": ("web-1.a", "system:node/ü\n=?", "o" * 256),
    "reason": ("BackOff", "back off\t", "R" * 256),
    "type": ("Warning", "Normal", "T" * 256),
    "message": ("Back-off", "", 'two\r\nlines\t\x1b[31m =?utf-8?q?a?= "ü" 😀 \u2028 {%s} \\', "long " * 4_000),
}


def rule_errors(rules: Sequence[AlertRule], types: Mapping[str, FindErrors]) -> Iterator[FieldError]:
    """Yield the errors that the known `types` find in the tasks of `rules`, whatever the events will be.

    A rule without errors submits tasks that their types accept, for any event.
    """
    for index, rule in enumerate(rules):
        if rule.task is None:
            continue
        if rule.task.type not in types:
            message = f"unknown task type {rule.task.type!r}: no worker has registered it"
            yield (index, "task", "type"), message
            continue
        for path, message in islice(_parameter_errors(rule, rule.task, types[rule.task.type]), MAX_ERRORS):
            yield (index, "task", "parameters", *path), message


def new_task(
    task: AlertTask, alert_id: int, words: Mapping[str, str], timeout_s: float | None, find_errors: FindErrors
) -> NewTask:
    """Return the task to store. Its name is one line, cut if the filled template is too long.

    `find_errors` are those of its type: the parameters are made to fit.
    """
    return NewTask(
        name=" ".join(templates.render(task.name, words).split())[:MAX_NAME] or words["rule"],
        type=task.type,
        queue=task.queue,
        parameters=fill(task.parameters, words, find_errors),
        max_attempts=task.max_attempts,
        timeout_s=timeout_s,
        labels={ALERT_LABEL: str(alert_id)},
    )


def _parameter_errors(rule: AlertRule, task: AlertTask, find_errors: FindErrors) -> Iterator[FieldError]:
    seen = set[templates.Path]()
    for words in _sample_words(rule):
        for error in find_errors(fill(task.parameters, words, find_errors)):
            path = tuple(error.instance_path)
            if path not in seen:
                seen.add(path)
                yield path, error.message + _describe_variables(task.parameters, path)


def _describe_variables(parameters: dict[str, Any], path: templates.Path) -> str:
    names = [f"${name}" for at, name in templates.iter_variables(parameters) if at[: len(path)] == path]
    return f" (with the {', '.join(dict.fromkeys(names))} of some events)" if names and path else ""


def _sample_words(rule: AlertRule) -> Iterator[dict[str, str]]:
    """Yield what some events may have: ordinary words, and then each unusual one beside ordinary ones."""
    samples = SAMPLES | {
        name: values
        for name, values in (
            ("namespace", rule.namespaces),
            ("kind", rule.kinds),
            ("reason", rule.reasons),
            ("type", rule.types),
        )
        if values
    }
    ordinary = {name: samples.get(name, (name,))[0] for name in TEMPLATE_VARIABLES} | {"rule": rule.name}
    yield ordinary
    for name, values in samples.items():
        for value in values[1:]:
            yield ordinary | {name: value}
