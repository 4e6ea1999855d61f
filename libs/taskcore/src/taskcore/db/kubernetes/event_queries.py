"""Read what a cluster reported: events newest first, or in the order in which they were stored; their versions; gaps.

Ids become visible in order (see `serialize_inserts` in migration 0001), so a reader that continues after the last id it
has seen misses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    and_,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased

from taskcore.db.models import K8sEvent, K8sGap
from taskcore.db.sql import bigint_param, int_param


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to list; empty means all. Several values of one field mean "any of"."""

    clusters: Sequence[str] = ()
    namespaces: Sequence[str] = ()
    kinds: Sequence[str] = ()
    names: Sequence[str] = ()
    reasons: Sequence[str] = ()
    types: Sequence[str] = ()
    since: datetime | None = None
    search: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        wanted = (
            (K8sEvent.cluster, self.clusters),
            (K8sEvent.namespace, self.namespaces),
            (K8sEvent.kind, self.kinds),
            (K8sEvent.name, self.names),
            (K8sEvent.reason, self.reasons),
            (K8sEvent.type, self.types),
        )
        found = any_of(*wanted)
        if self.since is not None:
            found.append(K8sEvent.at >= self.since)
        if self.search:
            found.append(K8sEvent.message.icontains(self.search, autoescape=True))
        return found

    def gap_conditions(self) -> list[ColumnElement[bool]]:
        """A gap may hide any event, except one of another cluster, or of a namespace or reason that it excludes."""
        found = any_of((K8sGap.cluster, self.clusters))
        if self.namespaces:
            found.append(K8sGap.namespace.in_(["", *self.namespaces]))
        if self.reasons:
            found.append(or_(K8sGap.reason.is_(None), K8sGap.reason.in_(self.reasons)))
        if self.since is not None:
            found.append(K8sGap.until_at >= self.since)
        return found


@cache
def newest_ids() -> Executable:
    """(event_id, gap_id): the largest of each so far, or 0."""
    return select(max_id(K8sEvent.id).label("event_id"), max_id(K8sGap.id).label("gap_id"))


def list_events(
    event_filter: EventFilter, *, limit: int, until_id: int, before: tuple[datetime, int] | None = None
) -> Executable:
    """The current versions, newest first, behind `before` (at, id); of those that were stored up to `until_id`."""
    statement = _current(event_filter).where(K8sEvent.id <= until_id)
    if before is not None:
        statement = statement.where(tuple_(K8sEvent.at, K8sEvent.id) < tuple_(*before))
    return statement.order_by(K8sEvent.at.desc(), K8sEvent.id.desc()).limit(limit)


def follow_events(event_filter: EventFilter, *, limit: int, after_id: int) -> Executable:
    """The current versions that were stored after `after_id`, in the order in which they were stored."""
    return _current(event_filter).where(K8sEvent.id > after_id).order_by(K8sEvent.id).limit(limit)


def list_gaps(
    event_filter: EventFilter, *, limit: int, until_id: int, since: datetime | None, until: datetime | None
) -> Executable:
    """The gaps with ids up to `until_id` that overlap the time from `since` to `until`, newest first."""
    statement = select(*K8sGap.__table__.c).where(*event_filter.gap_conditions(), K8sGap.id <= until_id)
    if since is not None:
        statement = statement.where(K8sGap.until_at >= since)
    if until is not None:
        statement = statement.where(K8sGap.from_at <= until)
    return statement.order_by(K8sGap.until_at.desc(), K8sGap.id.desc()).limit(limit)


def follow_gaps(event_filter: EventFilter, *, limit: int, after_id: int) -> Executable:
    """The gaps that were recorded after `after_id`, in that order."""
    return (
        select(*K8sGap.__table__.c)
        .where(*event_filter.gap_conditions(), K8sGap.id > after_id)
        .order_by(K8sGap.id)
        .limit(limit)
    )


@cache
def list_versions() -> Executable:
    """The versions of the event that the version `one` belongs to, by id. Parameters: one, after_id, most."""
    one = aliased(K8sEvent)
    return (
        select(*K8sEvent.__table__.c)
        .join(one, and_(K8sEvent.cluster == one.cluster, K8sEvent.uid == one.uid))
        .where(one.id == bigint_param("one"), K8sEvent.id > bigint_param("after_id"))
        .order_by(K8sEvent.id)
        .limit(int_param("most"))
    )


@cache
def list_task_events() -> Executable:
    """The current versions of events about a task's pods, by id. Parameters: task, after_id, most."""
    return (
        select(*K8sEvent.__table__.c)
        .where(K8sEvent.task_id == bigint_param("task"), K8sEvent.is_current, K8sEvent.id > bigint_param("after_id"))
        .order_by(K8sEvent.id)
        .limit(int_param("most"))
    )


def max_id(of: InstrumentedAttribute[int]) -> ColumnElement[int]:
    """The largest id of a table, or 0 if it is empty."""
    return func.coalesce(select(func.max(of)).scalar_subquery(), literal_column("0"))


def any_of(*wanted: tuple[InstrumentedAttribute[str], Sequence[str]]) -> list[ColumnElement[bool]]:
    """Return a condition for each column that has values: it equals one of them."""
    return [column.in_(values) for column, values in wanted if values]


def _current(which: EventFilter) -> Select[Any]:
    return select(*K8sEvent.__table__.c).where(K8sEvent.is_current, *which.conditions())
