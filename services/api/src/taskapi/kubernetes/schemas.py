"""What goes over HTTP of Kubernetes events and alerts."""

from __future__ import annotations

from datetime import datetime

import msgspec


class KubernetesEvent(msgspec.Struct, frozen=True):
    """A version of an event; `is_current`: the newest one. `count`: how often it happened so far.

    `kind`, `namespace` and `name` are those of the object that it is about, `component` is who told it. `at` is when it
    happened last, `task_id` the task whose pod it is about.
    """

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
    """What is not there in full.

    `kind`: `lost` (nobody knows what happened meanwhile; `count` is null) or `rate_limited` (so many of one `reason` that only
    their number was kept). An empty `namespace` means all.
    """

    id: int
    cluster: str
    namespace: str
    kind: str
    reason: str | None
    count: int | None
    from_at: datetime
    until_at: datetime


class EventPage(msgspec.Struct, frozen=True):
    """Newest first; with `after` in the order in which they were stored. `gaps` are those of the same time.

    `next_before` (null on the last page) goes on to older ones, as `before`. `next_after`, given as `after`, goes on to
    what was stored since; null on pages behind the first. `has_more`: there are more already.
    """

    items: list[KubernetesEvent]
    gaps: list[EventGap]
    next_before: str | None
    next_after: str | None
    has_more: bool


class EventVersionPage(msgspec.Struct, frozen=True):
    """By id, which is the order in which they were stored. `next_after`: the id to go on behind, or null."""

    items: list[KubernetesEvent]
    next_after: int | None


class TaskEventPage(msgspec.Struct, frozen=True):
    """By id. `next_after`, given as `after`, goes on behind the last one; null: there was none so far."""

    items: list[KubernetesEvent]
    next_after: int | None
    has_more: bool


class Alert(msgspec.Struct, frozen=True):
    """Events of one object and reason that a rule found worth telling, as one.

    `count`: how often it happened since it opened; `message` and `type` are those of the last event. `task_id` was
    submitted when it opened. Open until `resolved_at`; `resolved_by` is who did it, or `inactivity`.
    """

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
    """Those that opened last come first; with `after` in the order in which they opened.

    `next_before` and `next_after` go on as those of a page of events.
    """

    items: list[Alert]
    next_before: str | None
    next_after: str | None
    has_more: bool
