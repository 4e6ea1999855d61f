"""Kubernetes events as the collector stores them, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from taskcore.db.models import K8sEvent

AT = datetime(2030, 1, 2, tzinfo=UTC)


def event(number: int, **members: Any) -> dict[str, Any]:
    """A version, the `number`th, of an event of its own unless `uid` says of which."""
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
        **members,
    }


def store(connection: Connection, *events: dict[str, Any]) -> Sequence[Any]:
    """The stored rows. Each becomes the current version of its event."""
    ids = []
    for one in events:
        of = (K8sEvent.cluster == one["cluster"], K8sEvent.uid == one["uid"])
        connection.execute(update(K8sEvent).where(*of).values(is_current=False))
        ids.append(connection.execute(insert(K8sEvent).values(one).returning(K8sEvent.id)).scalar_one())
    return connection.execute(select(*K8sEvent.__table__.c).where(K8sEvent.id.in_(ids)).order_by(K8sEvent.id)).all()
