"""Read alerts in the order in which they opened: their times change while they are counted, their ids do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import ColumnElement, Executable, select

from taskcore.db.kubernetes.event_queries import any_of, max_id
from taskcore.db.models import Alert
from taskcore.db.sql import bigint_param


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts to list; empty means all. `is_open`: None for both. Several values of one field mean "any of"."""

    is_open: bool | None = None
    clusters: Sequence[str] = ()
    namespaces: Sequence[str] = ()
    kinds: Sequence[str] = ()
    names: Sequence[str] = ()
    reasons: Sequence[str] = ()

    def conditions(self) -> list[ColumnElement[bool]]:
        found = any_of(
            (Alert.cluster, self.clusters),
            (Alert.namespace, self.namespaces),
            (Alert.kind, self.kinds),
            (Alert.name, self.names),
            (Alert.reason, self.reasons),
        )
        if self.is_open is not None:
            found.append(Alert.resolved_at.is_(None) if self.is_open else Alert.resolved_at.is_not(None))
        return found


@cache
def get_alert() -> Executable:
    """Parameter: alert_id."""
    return select(*Alert.__table__.c).where(Alert.id == bigint_param("alert_id"))


@cache
def newest_alert_id() -> Executable:
    """(alert_id,): the largest id so far, or 0."""
    return select(max_id(Alert.id).label("alert_id"))


def list_alerts(alert_filter: AlertFilter, *, limit: int, until_id: int) -> Executable:
    """Alerts with ids up to `until_id`, the ones that opened last first."""
    statement = select(*Alert.__table__.c).where(*alert_filter.conditions(), Alert.id <= until_id)
    return statement.order_by(Alert.id.desc()).limit(limit)


def follow_alerts(alert_filter: AlertFilter, *, limit: int, after_id: int) -> Executable:
    """Alerts that opened after `after_id`, in that order."""
    statement = select(*Alert.__table__.c).where(*alert_filter.conditions(), Alert.id > after_id)
    return statement.order_by(Alert.id).limit(limit)
