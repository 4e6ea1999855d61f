"""Whether the tasks of alert rules could run, asked when the rules are given: when an alert opens it is too late."""

from __future__ import annotations

from collections.abc import Sequence

from taskapi.http.field_errors import field_error
from taskapi.http.problems import ProblemError, invalid
from taskapi.runtime.services import Services
from taskcore.settings import AlertRule
from taskcore.submission.from_alert import rule_errors

RULES_SETTING = "alerts.rules"


async def check_alert_rules(services: Services, rules: Sequence[AlertRule]) -> None:
    """Raises `Refused`, naming each part of the setting that is at fault."""
    wanted = {rule.task.type for rule in rules if rule.task is not None}
    types = await services.type_cache.get(wanted)
    faults = rule_errors(rules, {name: types[name].parameter_errors for name in wanted if name in types})
    if errors := [field_error(("value", *path), why) for path, why in faults]:
        raise ProblemError(invalid(errors))
