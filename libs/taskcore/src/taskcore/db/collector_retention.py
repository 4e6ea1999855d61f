"""Deleting what collectors stored and is old, a small batch at a time: samples, events with their gaps, alerts.

Any number of coordinators may do it at once: what another has locked is skipped. Each statement takes `after_s`, the
age, and answers how many went, which are up to `BATCH`.
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
    """By their bucket. Their series, and who submitted on which day, stay."""
    old = select(AnalyticsSample.series_id, AnalyticsSample.bucket).where(AnalyticsSample.bucket < _before())
    return _forgotten(old.order_by(AnalyticsSample.bucket).limit(BATCH), AnalyticsSample)


@cache
def delete_old_events() -> Executable:
    """Versions of events, by when they were collected, which is what their ids grow with: no index is needed."""
    oldest = select(K8sEvent.id).order_by(K8sEvent.id).limit(BATCH).scalar_subquery()
    old = select(K8sEvent.id).where(K8sEvent.id.in_(oldest), K8sEvent.collected_at < _before())
    return _forgotten(old.order_by(K8sEvent.id), K8sEvent)


@cache
def delete_old_gaps() -> Executable:
    """By their end."""
    old = select(K8sGap.id).where(K8sGap.until_at < _before())
    return _forgotten(old.order_by(K8sGap.until_at).limit(BATCH), K8sGap)


@cache
def delete_old_alerts() -> Executable:
    """By when they were resolved: an open one stays."""
    old = select(Alert.id).where(Alert.resolved_at < _before())
    return _forgotten(old.order_by(Alert.resolved_at).limit(BATCH), Alert)


def _before() -> Any:
    return func.now() - seconds_param("after_s")


def _forgotten(old: Select[*tuple[Any, ...]], model: type[Model]) -> Executable:
    """Delete the rows of `model` whose keys `old` selects."""
    held = old.with_for_update(of=model, skip_locked=True).cte("old")
    keys = list(model.__table__.primary_key)
    is_old = tuple_(*keys).in_(select(*(held.c[key.name] for key in keys)))
    gone = delete(model).where(is_old).returning(*keys).cte("gone")
    return select(func.count()).select_from(gone)
