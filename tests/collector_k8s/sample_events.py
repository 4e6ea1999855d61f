"""Events and buffer items for tests without a cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from collector_k8s.clock import monotonic_s
from collector_k8s.events.buffer_item import BufferItem
from taskcore.domain.kubernetes_events import Event

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def event(uid: str = "a", version: int = 1, **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "namespace": "shop",
        "kind": "Pod",
        "name": "web-1",
        "reason": "BackOff",
        "type": "Warning",
        "message": "Back-off restarting failed container",
        "component": "kubelet",
        "count": 1,
        "first_at": NOON,
        "at": NOON,
    }
    return Event(uid=uid, resource_version=str(version), **{**fields, **changes})


def items(*events: Event, scope: str = "", is_relist: bool = False) -> list[BufferItem]:
    """Return items as a reflector, or a relister, puts them into the buffer."""
    now = monotonic_s()
    return [
        BufferItem(scope, now, event=one, position=None if is_relist else one.resource_version, is_relist=is_relist)
        for one in events
    ]
