"""Store what a cluster reports: versions of events, how far it was read, and gaps.

These run in transactions that hold the collector's lease (see `collector_leases.fence`). There is one at a time per
cluster, so what they read stays valid until they end.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache

from sqlalchemy import (
    BigInteger,
    DateTime,
    Executable,
    Interval,
    Text,
    bindparam,
    case,
    column,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import aliased

from taskcore.db.models import K8sCursor, K8sEvent, K8sGap
from taskcore.db.sql import bigint_param, bigints_param, const_bool, const_text, recordset, seconds_param, texts_param
from taskcore.domain.events import GapKind
from taskcore.domain.kubernetes_events import Event

_FIELDS = {field.name for field in fields(Event)}
#: The columns of a version that the collector fills in, with their types.
EVENT_COLUMNS = {column.name: column.type for column in K8sEvent.__table__.c if column.name in _FIELDS | {"is_current"}}

_OF_CLUSTER = bindparam("of_cluster", type_=Text)
_IN_NAMESPACE = bindparam("in_namespace", type_=Text)
_FOR_REASON = bindparam("for_reason", type_=Text)
_MINUTE = bindparam("minute", type_=DateTime(timezone=True))
_LENGTH = literal_column("interval '1 minute'", Interval)


@cache
def current_versions() -> Executable:
    """(id, uid, resource_version, task_id, outdated) of those of `uids` that are known. Parameters: of_cluster, uids.

    `outdated` has all versions of an event that was stored before the cluster was set back.
    """
    version = aliased(K8sEvent)
    versions = (
        select(func.array_agg(version.resource_version))
        .where(version.cluster == K8sEvent.cluster, version.uid == K8sEvent.uid)
        .scalar_subquery()
    )
    set_back_at = select(func.max(K8sCursor.set_back_at)).where(K8sCursor.cluster == _OF_CLUSTER).scalar_subquery()
    outdated = case((K8sEvent.collected_at < set_back_at, versions)).label("outdated")
    return select(K8sEvent.id, K8sEvent.uid, K8sEvent.resource_version, K8sEvent.task_id, outdated).where(
        K8sEvent.cluster == _OF_CLUSTER, K8sEvent.uid == func.any(texts_param("uids")), K8sEvent.is_current
    )


@cache
def mark_superseded() -> Executable:
    """Mark the versions `ids` as no longer current, before the newer ones are added."""
    return update(K8sEvent).where(K8sEvent.id == func.any(bigints_param())).values(is_current=const_bool(False))


@cache
def add_versions() -> Executable:
    """Insert versions of events. Returns (id, uid, resource_version) of those that are new.

    Parameters: of_cluster, and rows, a JSON array of objects with the members of `EVENT_COLUMNS`.
    """
    given = recordset("given", **EVENT_COLUMNS)
    columns = ["cluster", *EVENT_COLUMNS]
    return (
        upsert(K8sEvent)
        .from_select(columns, select(_OF_CLUSTER, *(given.c[name] for name in EVENT_COLUMNS)))
        .on_conflict_do_nothing(constraint="k8s_event_version_key")
        .returning(K8sEvent.id, K8sEvent.uid, K8sEvent.resource_version)
    )


@cache
def set_task_ids() -> Executable:
    """Set the task of each of the versions `ids`, stored without one, to the id at the same position in `tasks`."""
    pair = (
        func.unnest(bigints_param(), bigints_param("tasks"))
        .table_valued(column("version_id", BigInteger), column("its_task", BigInteger), name="pair")
        .render_derived()
    )
    return (
        update(K8sEvent)
        .where(K8sEvent.id == pair.c.version_id, K8sEvent.task_id.is_(None))
        .values(task_id=pair.c.its_task)
    )


@cache
def list_cursors() -> Executable:
    """(scope, resource_version, silent_s: how long ago the cluster was last seen there). Parameter: of_cluster."""
    silent_s = func.extract("epoch", func.now() - K8sCursor.seen_at).label("silent_s")
    return select(K8sCursor.scope, K8sCursor.resource_version, silent_s).where(K8sCursor.cluster == _OF_CLUSTER)


@cache
def set_cursor() -> Executable:
    """Parameters: of_cluster, of_scope, version, ago_s (how long ago the cluster was last seen)."""
    statement = upsert(K8sCursor).values(
        cluster=_OF_CLUSTER,
        scope=bindparam("of_scope", type_=Text),
        resource_version=bindparam("version", type_=Text),
        seen_at=func.now() - seconds_param("ago_s"),
    )
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[K8sCursor.cluster, K8sCursor.scope],
        set_={"resource_version": new.resource_version, "seen_at": new.seen_at},
    )


@cache
def record_set_back() -> Executable:
    """Record that whatever comes is newer than all that is stored so far. Parameters: of_cluster, of_scope."""
    return (
        update(K8sCursor)
        .where(K8sCursor.cluster == _OF_CLUSTER, K8sCursor.scope == bindparam("of_scope", type_=Text))
        .values(set_back_at=func.now())
    )


@cache
def record_lost() -> Executable:
    """Record that events of the last `ago_s` seconds may be lost. Parameters: of_cluster, in_namespace, ago_s."""
    return insert(K8sGap).values(
        cluster=_OF_CLUSTER,
        namespace=_IN_NAMESPACE,
        kind=const_text(GapKind.LOST),
        from_at=func.now() - seconds_param("ago_s"),
        until_at=func.now(),
    )


@cache
def record_rate_limited() -> Executable:
    """Count `more` events that were not stored: one row per namespace, reason and minute.

    Parameters: of_cluster, in_namespace, for_reason, minute, more.
    """
    counted = (
        update(K8sGap)
        .where(
            K8sGap.cluster == _OF_CLUSTER,
            K8sGap.namespace == _IN_NAMESPACE,
            K8sGap.kind == const_text(GapKind.RATE_LIMITED),
            K8sGap.reason == _FOR_REASON,
            K8sGap.from_at == _MINUTE,
            K8sGap.until_at == _MINUTE + _LENGTH,  # which finds it by the index
        )
        .values(count=K8sGap.count + bigint_param("more"))
        .returning(K8sGap.id)
        .cte("counted")
    )
    given = select(
        _OF_CLUSTER,
        _IN_NAMESPACE,
        const_text(GapKind.RATE_LIMITED),
        _FOR_REASON,
        bigint_param("more"),
        _MINUTE,
        _MINUTE + _LENGTH,
    ).where(~select(counted.c.id).exists())
    columns = ["cluster", "namespace", "kind", "reason", "count", "from_at", "until_at"]
    return insert(K8sGap).from_select(columns, given).add_cte(counted)
