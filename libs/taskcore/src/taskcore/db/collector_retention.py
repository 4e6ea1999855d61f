"""Delete old data of the collectors, in small batches: samples, events with their gaps, and alerts.

Any number of coordinators may do this at once: rows that another has locked are skipped. Each statement takes the age
`after_s` and returns how many rows it deleted, up to `BATCH`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Executable, Select, delete, func, select, tuple_

from taskcore.db.models import Alert, AnalyticsSample, K8sEvent, K8sGap, Model
from taskcore.db.sql import seconds_param

BATCH = 500


@cache
def delete_old_samples() -> Executable:
    """By their bucket. Their series stay, and so do the days on which users submitted tasks."""
    old = select(AnalyticsSample.series_id, AnalyticsSample.bucket).where(AnalyticsSample.bucket < _before())
    return _delete(old.order_by(AnalyticsSample.bucket).limit(BATCH), AnalyticsSample)


@cache
def delete_old_events() -> Executable:
    """Versions of events, by when they were collected: their ids grow with that, so no index is needed."""
    oldest = select(K8sEvent.id).order_by(K8sEvent.id).limit(BATCH).scalar_subquery()
    old = select(K8sEvent.id).where(K8sEvent.id.in_(oldest), K8sEvent.collected_at < _before())
    return _delete(old.order_by(K8sEvent.id), K8sEvent)


@cache
def delete_old_gaps() -> Executable:
    """By their end."""
    old = select(K8sGap.id).where(K8sGap.until_at < _before())
    return _delete(old.order_by(K8sGap.until_at).limit(BATCH), K8sGap)


@cache
def delete_old_alerts() -> Executable:
    """By when they were resolved. Open alerts stay."""
    old = select(Alert.id).where(Alert.resolved_at < _before())
    return _delete(old.order_by(Alert.resolved_at).limit(BATCH), Alert)


def _before() -> Any:
    return func.now() - seconds_param("after_s")


def _delete(old: Select[*tuple[Any, ...]], model: type[Model]) -> Executable:
    """Delete the rows of `model` whose keys `old` selects."""
    held = old.with_for_update(of=model, skip_locked=True).cte("old")
    keys = list(model.__table__.primary_key)
    is_old = tuple_(*keys).in_(select(*(held.c[key.name] for key in keys)))
    deleted = delete(model).where(is_old).returning(*keys).cte("deleted")
    return select(func.count()).select_from(deleted)
