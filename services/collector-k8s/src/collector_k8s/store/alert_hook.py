"""Opening alerts in the transaction that stores their events, and resolving inactive ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog
from opentelemetry import trace
from sqlalchemy import Connection, Engine

from collector_k8s import metrics
from collector_k8s.store.alert_groups import GroupedUpdates, OpenedLately, group_keys, group_updates
from collector_k8s.store.alert_rules import known_types
from taskcore.db.kubernetes import alerts
from taskcore.db.notify import OUTBOX, SyncNotifier
from taskcore.db.tasks import submit
from taskcore.domain.alerts import AlertUpdate, aggregate_updates, first_matching_rule
from taskcore.domain.events import INACTIVITY
from taskcore.domain.kubernetes_events import StoredEvent
from taskcore.live_settings import CurrentSettings
from taskcore.observability.tracing.propagation import current_traceparent
from taskcore.settings import AlertTask
from taskcore.submission import from_alert
from taskcore.submission.schemas import compile_schema

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OpenedAlert:
    """An alert that was opened, with what fills the templates of its rule's task."""

    alert_id: int
    words: Mapping[str, str]
    task: AlertTask


class AlertHook:
    """The `EventHook` for the alerts of one cluster, for the thread that writes its events."""

    def __init__(self, settings: CurrentSettings, engine: Engine) -> None:
        self._settings = settings
        self._notifier = SyncNotifier(engine)

    def on_stored(self, connection: Connection, events: Sequence[StoredEvent]) -> bool:
        """Count new current versions in their alerts, open alerts, and submit the tasks of those that open."""
        rules = {rule.name: rule for rule in self._settings.now.alerts.rules}
        matches = [
            (rule, event) for event in events if (rule := first_matching_rule(rules.values(), event)) is not None
        ]
        if not matches:
            return False
        rows = connection.execute(alerts.previous_counts(), {"ids": [event.id for _, event in matches]})
        grouped = self._group(connection, aggregate_updates(matches, {row.id: row.so_far for row in rows}))
        to_submit = [
            OpenedAlert(alert_id, _template_values(grouped, update), task)
            for alert_id, update in _upsert(connection, grouped.updates)
            if (task := rules[update.rule].task) is not None
        ]
        _submit(connection, to_submit)
        return bool(to_submit)

    def _group(self, connection: Connection, updates: Sequence[AlertUpdate]) -> GroupedUpdates:
        """Count the updates of a storm in groups."""
        cluster = updates[0].cluster
        wanted = {one.key for one in updates} | group_keys(updates)
        open_rows = connection.execute(alerts.open_keys(), {"rows": alerts.key_rows(wanted)})
        lately = {
            row.rule: OpenedLately(row.alerts, row.groups)
            for row in connection.execute(alerts.opened_lately(), {"of": cluster})
        }
        open_keys = {(row.cluster, row.namespace, row.kind, row.name, row.reason) for row in open_rows}
        grouped = group_updates(updates, open_keys, lately, self._settings.now.alerts.max_per_minute)
        for rule, count in grouped.grouped.items():
            log.warning("alerts.grouped", cluster=cluster, rule=rule, alerts=count)
            metrics.ALERTS_GROUPED.labels(cluster, rule).inc(count)
        return grouped

    def after_commit(self) -> None:
        """Wake up the relay."""
        self._notifier.notify(OUTBOX)
        self._notifier.flush()

    def resolve_inactive(self, connection: Connection, cluster: str, scopes: Sequence[str]) -> bool:
        """Resolve a batch of the alerts of `cluster` that had no new event for `resolve_after_s` while it was read."""
        resolve_after_s = self._settings.now.alerts.resolve_after_s
        if resolve_after_s is None:
            return False
        parameters = {"of": cluster, "scopes": list(scopes), "resolve_after_s": resolve_after_s}
        resolved = connection.execute(alerts.resolve_inactive(), parameters).all()
        for row in resolved:
            log.info("alert.resolved", alert_id=row.id, by=INACTIVITY)
        return len(resolved) == alerts.BATCH


def _upsert(connection: Connection, updates: Sequence[AlertUpdate]) -> Iterator[tuple[int, AlertUpdate]]:
    """Count the updates in the open alerts. Yield the ids of the alerts that were opened, with their updates."""
    rows = connection.execute(alerts.upsert_alerts(), {"rows": alerts.alert_rows(updates)}).all()
    opened = {(row.cluster, row.namespace, row.kind, row.name, row.reason): int(row.id) for row in rows if row.is_new}
    for update in updates:
        if (alert_id := opened.get(update.key)) is not None:
            involved = f"{update.kind} {update.namespace}/{update.name}"
            log.info("alert.opened", alert_id=alert_id, rule=update.rule, object=involved, reason=update.reason)
            yield alert_id, update


def _template_values(grouped: GroupedUpdates, update: AlertUpdate) -> Mapping[str, str]:
    """Return the words for the task of an alert: of a group, those of its first event, and that it is a group."""
    first = grouped.firsts.get(update.key)
    if first is None:
        return update.template_values
    message = (
        f"Too many alerts of the rule {first.rule}: this one and further ones are counted together. {first.message}"
    )
    return first.template_values | {"message": message}


def _submit(connection: Connection, to_submit: Sequence[OpenedAlert]) -> None:
    """Submit the tasks of alerts. A task of an unknown type waits for a worker that registers the type."""
    types = known_types(connection, [opened.task for opened in to_submit])
    schemas = {
        name: compile_schema(types[name].schema if name in types else {}, name)
        for name in {opened.task.type for opened in to_submit}
    }
    task_ids: dict[int, int] = {}
    for opened in to_submit:
        alert_id, task = opened.alert_id, opened.task
        timeout_s = types[task.type].timeout_s if task.type in types else None
        new = from_alert.new_task(task, alert_id, opened.words, timeout_s, schemas[task.type])
        with trace.get_tracer("taskcore").start_as_current_span(
            "raise alert",
            attributes={"taskcore.alert.id": alert_id},
            record_exception=False,
            set_status_on_exception=False,
        ):
            (row,) = connection.execute(*submit.submit([new], f"alert:{alert_id}", current_traceparent())).all()
        task_ids[alert_id] = row.id
    if task_ids:
        connection.execute(alerts.set_task_ids(), {"ids": list(task_ids), "tasks": list(task_ids.values())})
