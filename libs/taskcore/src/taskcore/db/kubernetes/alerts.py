"""Open, count and resolve alerts.

What opens an alert also submits its task, in the same transaction. Rows are locked in the order of the alerts' keys,
which is the order of `taskcore.domain.alerts.aggregate_updates`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cache

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Executable,
    Interval,
    Text,
    and_,
    bindparam,
    case,
    column,
    func,
    literal_column,
    not_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import aliased

from taskcore.db.models import Alert, K8sCursor, K8sEvent
from taskcore.db.sql import actor_param, bigint_param, bigints_param, const_text, recordset, seconds_param, texts_param
from taskcore.domain.alerts import AlertKey, AlertUpdate, group_name
from taskcore.domain.events import INACTIVITY

BATCH = 500
MINUTE = literal_column("interval '1 minute'", Interval)

_KEY = ("cluster", "namespace", "kind", "name", "reason")
_SEEN = {field.name: Alert.__table__.c[field.name].type for field in fields(AlertUpdate)}


@cache
def previous_counts() -> Executable:
    """(id, so_far) of those events in `ids` that had a version before this transaction: its count."""
    before = aliased(K8sEvent)
    is_before = and_(before.cluster == K8sEvent.cluster, before.uid == K8sEvent.uid, before.collected_at < func.now())
    return (
        select(K8sEvent.id, func.max(before.count).label("so_far"))
        .join(before, is_before)
        .where(K8sEvent.id == func.any(bigints_param()))
        .group_by(K8sEvent.id)
    )


@cache
def open_keys() -> Executable:
    """Those of the keys in `rows` that have an open alert."""
    wanted = recordset("wanted", **{name: _SEEN[name] for name in _KEY})
    return select(*(Alert.__table__.c[name] for name in _KEY)).where(
        Alert.resolved_at.is_(None), *(Alert.__table__.c[name] == wanted.c[name] for name in _KEY)
    )


def key_rows(keys: Iterable[AlertKey]) -> str:
    """Return the parameter `rows` of `open_keys`."""
    return msgspec.json.encode([dict(zip(_KEY, key, strict=True)) for key in sorted(keys)]).decode()


@cache
def opened_lately() -> Executable:
    """(rule, alerts, groups): how many of the open alerts of the cluster `of` were opened within a minute."""
    is_group = func.starts_with(Alert.name, group_name(""))
    return (
        select(
            Alert.rule,
            func.count().filter(not_(is_group)).label("alerts"),
            func.count().filter(is_group).label("groups"),
        )
        .where(Alert.resolved_at.is_(None), Alert.cluster == bindparam("of", type_=Text))
        .where(Alert.seen_at > func.now() - MINUTE, Alert.opened_at > func.now() - MINUTE)
        .group_by(Alert.rule)
    )


@cache
def upsert_alerts() -> Executable:
    """Add what was seen to the open alerts, and open an alert where there is none. Parameter: rows.

    Returns for each its id, `is_new`, and its key: cluster, namespace, kind, name, reason.
    """
    seen = recordset("seen", **_SEEN)
    rows = select(*(seen.c[name] for name in _SEEN)).order_by(*(seen.c[name] for name in _KEY))
    statement = upsert(Alert).from_select(list(_SEEN), rows)
    new = statement.excluded
    is_later = new.last_at >= Alert.last_at
    return statement.on_conflict_do_update(
        index_elements=[Alert.__table__.c[name] for name in _KEY],
        index_where=Alert.resolved_at.is_(None),
        set_={
            "count": Alert.count + new.count,
            "first_at": func.least(Alert.first_at, new.first_at),
            "last_at": func.greatest(Alert.last_at, new.last_at),
            "message": case((is_later, new.message), else_=Alert.message),
            "type": case((is_later, new.type), else_=Alert.type),
            "seen_at": func.now(),
        },
    ).returning(
        Alert.id,
        literal_column("xmax = 0", Boolean).label("is_new"),  # true for a row that no statement has locked or changed
        *(Alert.__table__.c[name] for name in _KEY),
    )


def alert_rows(sightings: Sequence[AlertUpdate]) -> str:
    """Return the parameter `rows` of `upsert_alerts`."""
    return msgspec.json.encode(sightings).decode()


@cache
def set_task_ids() -> Executable:
    """Store which task each of the alerts `ids` has submitted: the id at the same position in `tasks`."""
    pair = (
        func.unnest(bigints_param(), bigints_param("tasks"))
        .table_valued(column("alert_id", BigInteger), column("its_task", BigInteger), name="pair")
        .render_derived()
    )
    return update(Alert).where(Alert.id == pair.c.alert_id).values(task_id=pair.c.its_task)


@cache
def resolve_inactive() -> Executable:
    """Resolve up to `BATCH` alerts of the cluster `of` without an event for `resolve_after_s` seconds.

    Returns their ids.

    Time counts up to when the least recently seen of `scopes` was seen: while a scope is not being watched, its alerts
    cannot be known to be inactive.
    """
    cluster = bindparam("of", type_=Text)
    seen_at = (
        select(func.min(K8sCursor.seen_at))
        .where(K8sCursor.cluster == cluster, K8sCursor.scope == func.any(texts_param("scopes")))
        .having(func.count() == func.cardinality(texts_param("scopes")))
        .scalar_subquery()
    )
    inactive = (
        select(Alert.id)
        .where(Alert.resolved_at.is_(None), Alert.cluster == cluster)
        .where(Alert.seen_at < seen_at - seconds_param("resolve_after_s"))
        .order_by(Alert.seen_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
        .cte("inactive")
    )
    return (
        update(Alert)
        .where(Alert.id == inactive.c.id, Alert.resolved_at.is_(None))
        .values(resolved_at=func.now(), resolved_by=const_text(INACTIVITY))
        .returning(Alert.id)
    )


@cache
def resolve() -> Executable:
    """Resolve the alert `alert_id` and return it; no row if there is none or it is resolved.

    Parameters: alert_id, by.
    """
    return (
        update(Alert)
        .where(Alert.id == bigint_param("alert_id"), Alert.resolved_at.is_(None))
        .values(resolved_at=func.now(), resolved_by=actor_param())
        .returning(*Alert.__table__.c)
    )
