"""The check of the configured alert rules at the start of the process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from taskcore.db.workers import workers
from taskcore.errors import InvalidSettings, first_line
from taskcore.settings import PREFIX, AlertRule, Settings
from taskcore.submission import from_alert
from taskcore.submission.schemas import FindErrors, compile_schema

log = structlog.stdlib.get_logger(__name__)


def validate_rules(settings: Settings, engine: Engine) -> None:
    """Check the tasks of the rules against their types.

    An unknown type is only logged, since a worker that starts later may register it. So is an unavailable database.

    Raises:
        InvalidSettings: a type would reject the parameters.
    """
    try:
        types = _known_types(settings.alerts.rules, engine)
    except SQLAlchemyError as exc:  # the database, or its schema, may not be ready yet
        log.warning("alerts.rules_unchecked", error=first_line(exc))
        return
    for path, error in from_alert.rule_errors(settings.alerts.rules, types):
        setting = f"{PREFIX}ALERTS__RULES: " + ".".join(map(str, path))
        if path[1:] != ("task", "type"):
            raise InvalidSettings(f"{setting}: {error}")
        log.warning("alerts.type_unknown", setting=setting, error=error)


def _known_types(rules: Sequence[AlertRule], engine: Engine) -> Mapping[str, FindErrors]:
    names = {rule.task.type for rule in rules if rule.task is not None}
    if not names:
        return {}
    with engine.connect() as connection:
        rows = [connection.execute(workers.get_type(), {"type_name": name}).first() for name in sorted(names)]
    return {row.name: compile_schema(row.schema, row.name) for row in rows if row is not None}
