"""Alerts: what the events of a batch raise, in the transaction that stores them; and what is quiet resolves.

Which rules there are is a live setting; what is wrong with the process's own is said at its start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import structlog
from opentelemetry import trace
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from taskcore.db.kubernetes import alerts
from taskcore.db.notify import OUTBOX, SyncNotifier
from taskcore.db.tasks import submit
from taskcore.db.workers import workers
from taskcore.domain.alerts import AlertUpdate, Event, aggregate_updates, first_matching_rule
from taskcore.errors import InvalidSettings, first_line
from taskcore.live_settings import CurrentSettings
from taskcore.observability.tracing.propagation import current_traceparent
from taskcore.settings import PREFIX, AlertRule, AlertTask, Settings
from taskcore.submission import from_alert

log = structlog.stdlib.get_logger(__name__)


class AlertHook:
    """The alerts of one cluster, for the one thread that writes its events."""

    def __init__(self, settings: CurrentSettings, engine: Engine) -> None:
        self._settings = settings
        self._notifier = SyncNotifier(engine)

    def on_stored(self, connection: Connection, events: Sequence[Event]) -> bool:
        """Count `events`, which were stored in this transaction and are current; submit the tasks of what opens.

        Answers whether there are such tasks: then somebody has to `tell`, once the transaction is committed.
        """
        rules = {rule.name: rule for rule in self._settings.now.alerts.rules}
        matched = [
            (rule, event) for event in events if (rule := first_matching_rule(rules.values(), event)) is not None
        ]
        if not matched:
            return False
        rows = connection.execute(alerts.previous_counts(), {"ids": [event.id for _, event in matched]})
        seen = aggregate_updates(matched, {row.id: row.so_far for row in rows})
        due = [
            (alert_id, one, task)
            for alert_id, one in _opened(connection, seen)
            if (task := rules[one.rule].task) is not None
        ]
        _fire(connection, due)
        return bool(due)

    def after_commit(self) -> None:
        """Wake up whoever sends tasks to workers."""
        self._notifier.notify(OUTBOX)
        self._notifier.flush()

    def resolve_inactive(self, connection: Connection, cluster: str, scopes: Sequence[str]) -> bool:
        """Resolve alerts of `cluster` that nothing was heard of for as long as the setting says, while it was heard.

        Answers whether there may be more of them.
        """
        resolve_after_s = self._settings.now.alerts.resolve_after_s
        if resolve_after_s is None:
            return False
        given = {"of": cluster, "scopes": list(scopes), "resolve_after_s": resolve_after_s}
        found = connection.execute(alerts.resolve_inactive(), given).all()
        for row in found:
            log.info("alert.resolved", alert_id=row.id, by="inactivity")
        return len(found) == alerts.BATCH


def validate_rules(settings: Settings, engine: Engine) -> None:
    """Raises `InvalidSettings` for parameters that their type would refuse.

    A type that is not known may come with a worker that starts later: that is said, no more. So is a database that
    cannot be asked.
    """
    try:
        types = _known_types(settings.alerts.rules, engine)
    except SQLAlchemyError as exc:  # the database may be later than this process, and so may its tables
        log.warning("alerts.rules_unchecked", error=first_line(exc))
        return
    for path, why in from_alert.rule_errors(settings.alerts.rules, types):
        name = f"{PREFIX}ALERTS__RULES: " + ".".join(map(str, path))
        if path[1:] != ("task", "type"):
            raise InvalidSettings(f"{name}: {why}")
        log.warning("alerts.type_unknown", setting=name, error=why)


def _known_types(rules: Sequence[AlertRule], engine: Engine) -> Mapping[str, from_alert.FindErrors]:
    wanted = {rule.task.type for rule in rules if rule.task is not None}
    if not wanted:
        return {}
    with engine.connect() as connection:
        rows = [connection.execute(workers.get_type(), {"type_name": name}).first() for name in sorted(wanted)]
    return {row.name: from_alert.schema_errors(row.schema) for row in rows if row is not None}


def _opened(connection: Connection, seen: Sequence[AlertUpdate]) -> Iterator[tuple[int, AlertUpdate]]:
    """Count what was seen. Answers what was not open before, with the ids of the alerts that are now."""
    rows = connection.execute(alerts.upsert_alerts(), {"rows": alerts.alert_rows(seen)}).all()
    new = {(row.cluster, row.namespace, row.kind, row.name, row.reason): int(row.id) for row in rows if row.is_new}
    for one in seen:
        if (alert_id := new.get(one.key)) is not None:
            of = f"{one.kind} {one.namespace}/{one.name}"
            log.info("alert.opened", alert_id=alert_id, rule=one.rule, of=of, reason=one.reason)
            yield alert_id, one


def _fire(connection: Connection, due: Sequence[tuple[int, AlertUpdate, AlertTask]]) -> None:
    """Submit the tasks. One of a type that nobody knows waits for a worker that does."""
    timeouts = {name: _timeout_s(connection, name) for name in sorted({task.type for _, _, task in due})}
    fired: dict[int, int] = {}
    for alert_id, seen, task in due:
        new = from_alert.new_task(task, alert_id, seen.template_values, timeouts[task.type])
        with trace.get_tracer("taskcore").start_as_current_span(
            "raise alert",
            attributes={"taskcore.alert.id": alert_id},
            record_exception=False,
            set_status_on_exception=False,
        ):
            (row,) = connection.execute(*submit.submit([new], f"alert:{alert_id}", current_traceparent())).all()
        fired[alert_id] = row.id
    if fired:
        connection.execute(alerts.set_task_ids(), {"ids": list(fired), "tasks": list(fired.values())})


def _timeout_s(connection: Connection, type_name: str) -> float | None:
    row = connection.execute(workers.get_type(), {"type_name": type_name}).first()
    return None if row is None else row.timeout_s
