"""An alert hook with a rule, and events that are added in the transaction of the hook."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from collector_k8s.store.alert_hook import AlertHook
from taskcore.live_settings import CurrentSettings
from taskcore.settings import AlertRule, AlertSettings, AlertTask, Settings
from tests.collector_k8s.database import transaction
from tests.collector_k8s.event_rows import store

EMAIL = AlertTask(type="mail", parameters={"to": "ops@example.org", "body": "$object: $message"})
WARNINGS = AlertRule(name="warnings", types=("Warning",), task=EMAIL)


def alert_hook(engine: Engine, *rules: AlertRule, resolve_after_s: float | None = None) -> AlertHook:
    return AlertHook(
        CurrentSettings(Settings(alerts=AlertSettings(rules=rules or (WARNINGS,), resolve_after_s=resolve_after_s))),
        engine,
    )


def add_events(engine: Engine, hook: AlertHook, *events: dict[str, Any]) -> bool:
    with transaction(engine) as connection:
        return hook.on_stored(connection, store(connection, *events))
