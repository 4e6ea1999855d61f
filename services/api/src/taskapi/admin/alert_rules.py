"""Check the tasks of alert rules when the rules are set: an error when an alert opens would go unseen."""

from __future__ import annotations

from collections.abc import Sequence

from taskapi.http.field_errors import field_error
from taskapi.http.problems import ProblemError, invalid
from taskapi.runtime.services import Services
from taskcore.settings import AlertRule
from taskcore.submission.from_alert import rule_errors

RULES_SETTING = "alerts.rules"


async def check_alert_rules(services: Services, rules: Sequence[AlertRule]) -> None:
    """Raise `ProblemError`, which names each invalid part of the setting."""
    wanted = {rule.task.type for rule in rules if rule.task is not None}
    types = await services.type_cache.get(wanted)
    errors = rule_errors(rules, {name: types[name].parameter_errors for name in wanted if name in types})
    if field_errors := [field_error(("value", *path), message) for path, message in errors]:
        raise ProblemError(invalid(field_errors))
