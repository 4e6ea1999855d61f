"""Events for tests that need no cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from collector_k8s.clock import monotonic_s
from collector_k8s.events.event import Event
from collector_k8s.store.event_store import BufferItem

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def event(uid: str = "a", version: int = 1, **changes: Any) -> Event:
    members: dict[str, Any] = {
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
    return Event(uid=uid, resource_version=str(version), **{**members, **changes})


def items(*events: Event, scope: str = "", is_repeat: bool = False) -> list[BufferItem]:
    """As a watch, or a list that only looks again, puts them into the buffer."""
    now = monotonic_s()
    return [
        BufferItem(scope, now, event=one, position=None if is_repeat else one.resource_version, is_relist=is_repeat)
        for one in events
    ]
