"""An event of a cluster as it is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from taskcore.domain.kubernetes_events import StoredEvent

AT = datetime(2030, 1, 2, tzinfo=UTC)
EVENT = StoredEvent(
    uid="u-1",
    resource_version="1",
    namespace="shop",
    kind="Pod",
    name="web-1",
    reason="BackOff",
    type="Warning",
    message="Back-off restarting",
    component="kubelet",
    count=1,
    first_at=AT,
    at=AT,
    id=1,
    cluster="home",
)


def stored(id: int = 1, **changes: Any) -> StoredEvent:
    return replace(EVENT, id=id, **changes)
