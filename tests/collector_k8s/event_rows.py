"""Rows of Kubernetes events as the collector stores them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from taskcore.db.models import K8sEvent

AT = datetime(2030, 1, 2, tzinfo=UTC)


def event(number: int, **columns: Any) -> dict[str, Any]:
    """Return version `number` of an event. It is the only version of its event unless `uid` is given."""
    return {
        "cluster": "home",
        "uid": f"uid-{number}",
        "resource_version": str(number),
        "is_current": True,
        "namespace": "shop",
        "kind": "Pod",
        "name": "web-1",
        "reason": "BackOff",
        "type": "Warning",
        "message": "Back-off restarting",
        "component": "kubelet",
        "count": 1,
        "first_at": AT,
        "at": AT,
        **columns,
    }


def store(connection: Connection, *events: dict[str, Any]) -> Sequence[Any]:
    """Store each version as the current one of its event, and return the rows."""
    ids: list[int] = []
    for one in events:
        same_event = (K8sEvent.cluster == one["cluster"], K8sEvent.uid == one["uid"])
        connection.execute(update(K8sEvent).where(*same_event).values(is_current=False))
        ids.append(connection.execute(insert(K8sEvent).values(one).returning(K8sEvent.id)).scalar_one())
    return connection.execute(select(*K8sEvent.__table__.c).where(K8sEvent.id.in_(ids)).order_by(K8sEvent.id)).all()
