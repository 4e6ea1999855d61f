"""What goes over HTTP of Kubernetes events and alerts, as this client sees it."""

from __future__ import annotations

from datetime import datetime

import msgspec


class KubernetesEvent(msgspec.Struct, frozen=True):
    """A version of an event. `kind`, `namespace` and `name` are those of the object that it is about."""

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
    """What is not there in full: `lost`, or a `rate_limited` of which only the number was kept."""

    id: int
    cluster: str
    namespace: str
    kind: str
    reason: str | None
    count: int | None
    from_at: datetime
    until_at: datetime


class EventPage(msgspec.Struct, frozen=True):
    """Newest first; with `after` in the order in which they were stored."""

    items: list[KubernetesEvent]
    gaps: list[EventGap]
    next_before: str | None
    next_after: str | None
    has_more: bool


class EventVersionPage(msgspec.Struct, frozen=True):
    """A page, by id. `next_after` is None on the last one."""

    items: list[KubernetesEvent]
    next_after: int | None


class TaskEventPage(msgspec.Struct, frozen=True):
    """By id. `next_after`, given as `after`, continues behind the last one; None: there was none so far."""

    items: list[KubernetesEvent]
    next_after: int | None
    has_more: bool


class Alert(msgspec.Struct, frozen=True):
    """Events of one object and reason that a rule found worth telling, as one. Open until `resolved_at`."""

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


class AlertPage(msgspec.Struct, frozen=True):
    """Those that opened last come first; with `after` in the order in which they opened."""

    items: list[Alert]
    next_before: str | None
    next_after: str | None
    has_more: bool
