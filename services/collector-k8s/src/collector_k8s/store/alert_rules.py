"""The check of the configured alert rules at the start of the process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from taskcore.db.workers import workers
from taskcore.errors import InvalidSettings, first_line
from taskcore.settings import PREFIX, AlertTask, Settings
from taskcore.submission import from_alert
from taskcore.submission.schemas import compile_schema

log = structlog.stdlib.get_logger(__name__)


def validate_rules(settings: Settings, engine: Engine) -> None:
    """Check the tasks of the rules against their types.

    An unknown type is only logged, since a worker that starts later may register it. So is an unavailable database.
    Raises `InvalidSettings` when a type would reject the parameters.
    """
    tasks = [rule.task for rule in settings.alerts.rules if rule.task is not None]
    if not tasks:
        return
    try:
        with engine.connect() as connection:
            types = known_types(connection, tasks)
    except SQLAlchemyError as exc:  # the database, or its schema, may not be ready yet
        log.warning("alerts.rules_unchecked", error=first_line(exc))
        return
    schemas = {name: compile_schema(row.schema, name) for name, row in types.items()}
    for path, error in from_alert.rule_errors(settings.alerts.rules, schemas):
        setting = f"{PREFIX}ALERTS__RULES: " + ".".join(map(str, path))
        if path[1:] != ("task", "type"):
            raise InvalidSettings(f"{setting}: {error}")
        log.warning("alerts.type_unknown", setting=setting, error=error)


def known_types(connection: Connection, tasks: Iterable[AlertTask]) -> dict[str, Row[Any]]:
    """Return the rows of the task types that `tasks` have, by name, as far as they are registered."""
    names = sorted({task.type for task in tasks})
    rows = [connection.execute(workers.get_type(), {"type_name": name}).first() for name in names]
    return {row.name: row for row in rows if row is not None}
