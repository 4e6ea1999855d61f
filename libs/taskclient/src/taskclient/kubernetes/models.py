"""Response models of the calls about Kubernetes events and alerts."""

from __future__ import annotations

from datetime import datetime

import msgspec

from taskclient.models import GrowingPage


class KubernetesEvent(msgspec.Struct, frozen=True):
    """A version of an event. `kind`, `namespace` and `name` identify the object that the event is about."""

    id: int
    cluster: str
    uid: str
    resource_version: str
    is_current: bool
    namespace: str
    kind: str
    name: str
    reason: str
    type: str
    message: str
    component: str
    count: int
    first_at: datetime
    at: datetime
    task_id: int | None
    collected_at: datetime


class EventGap(msgspec.Struct, frozen=True):
    """A period whose events are incomplete. `kind` is `lost`, or `rate_limited` if only their number was kept."""

    id: int
    cluster: str
    namespace: str
    kind: str
    reason: str | None
    count: int | None
    from_at: datetime
    until_at: datetime


class EventPage(GrowingPage[KubernetesEvent, str], frozen=True):
    """A page, newest first; with `after`, in the order of storing."""

    gaps: list[EventGap]
    next_before: str | None


class Alert(msgspec.Struct, frozen=True):
    """Events with the same object and reason that match a rule, aggregated. Open until `resolved_at`."""

    id: int
    rule: str
    cluster: str
    namespace: str
    kind: str
    name: str
    reason: str
    type: str
    message: str
    count: int
    first_at: datetime
    last_at: datetime
    task_id: int | None
    resolved_at: datetime | None
    resolved_by: str | None


class AlertPage(GrowingPage[Alert, str], frozen=True):
    """A page, latest to open first; with `after`, in the order of opening."""

    next_before: str | None
