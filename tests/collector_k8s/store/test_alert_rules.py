"""Alert rules are checked at start against the types of their tasks."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from collector_k8s.store.alert_rules import validate_rules
from taskcore.db.engine import sync_engine
from taskcore.db.workers import workers
from taskcore.errors import InvalidSettings
from taskcore.settings import AlertRule, AlertSettings, AlertTask, Settings


@pytest.mark.parametrize(("parameters", "is_refused"), [({"to": "x"}, False), ({"to": 5}, True)])
def test_rules_are_checked_against_the_types_of_their_tasks(
    engine: Engine, parameters: dict[str, Any], is_refused: bool
) -> None:
    schema = {"type": "object", "properties": {"to": {"type": "string"}}}
    mail = {"name": "mail", "description": "", "queue": "q", "schema": schema, "max_attempts": 4, "retry": {}}
    with engine.connect() as connection:
        connection.execute(workers.register_types([mail]))
    unknown = AlertRule(name="later", task=AlertTask(type="registered_later"))
    rules = (unknown, AlertRule(name="mine", task=AlertTask(type="mail", parameters=parameters)))

    settings = Settings(alerts=AlertSettings(rules=rules))

    if is_refused:
        with pytest.raises(InvalidSettings, match=r"TASKCORE_ALERTS__RULES: 1\.task\.parameters\.to: the value is not"):
            validate_rules(settings, engine)
    else:
        validate_rules(settings, engine)


def test_rules_are_not_checked_without_a_database(empty_database_url: str) -> None:
    rule = AlertRule(name="mine", types=("Warning",), task=AlertTask(type="mail"))
    for url in ("postgresql://nobody@127.0.0.1:1/none", empty_database_url):
        engine = sync_engine(url, name="tests", pool_size=1)

        validate_rules(Settings(alerts=AlertSettings(rules=(rule,))), engine)

        engine.dispose()
