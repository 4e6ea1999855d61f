"""Responses about Kubernetes events and alerts."""

from __future__ import annotations

from datetime import datetime

import msgspec


class KubernetesEvent(msgspec.Struct, frozen=True):
    """A version of an event. `is_current` marks the newest one. `count` is the number of occurrences so far.

    `kind`, `namespace` and `name` are those of the object that the event is about, and `component` is its reporter.
    `at` is the time of the last occurrence, and `task_id` the task whose pod the event is about.
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
    """A time from which events are missing.

    The `kind` is `lost` when events may have been missed (`count` is null), or `rate_limited` when there were too many
    of one `reason`, of which only the `count` was stored. An empty `namespace` means all namespaces.
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
    """Events, newest first; with `after`, in the order of storing. `gaps` are those of the same time.

    `next_before` is the `before` of the page with older events, null on the last one. `next_after` is the `after` that
    returns what is stored from now on, null on all pages but the first. `has_more`: there is a next page already.
    """

    items: list[KubernetesEvent]
    gaps: list[EventGap]
    next_before: str | None
    next_after: str | None
    has_more: bool


class EventVersionPage(msgspec.Struct, frozen=True):
    """A page, by id, which is the order of storing. `next_after` is the `after` of the next page, or null."""

    items: list[KubernetesEvent]
    next_after: int | None


class TaskEventPage(msgspec.Struct, frozen=True):
    """A page, by id. `next_after` is the `after` that returns later events, null while there is none."""

    items: list[KubernetesEvent]
    next_after: int | None
    has_more: bool


class Alert(msgspec.Struct, frozen=True):
    """The events of one object and reason that match a rule.

    In a storm, an alert is about a group of objects: its namespace is `*`, and its name `*` and the rule.

    `count` is the number of occurrences since the alert opened; `message` and `type` are those of the last event.
    `task_id` is the task that was submitted when it opened. The alert is open until `resolved_at`; `resolved_by` is the
    user who resolved it, or `inactivity` when there were no further events.
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
    """Alerts, the last opened first; with `after`, in the order of opening.

    `next_before` and `next_after` continue like those of a page of events.
    """

    items: list[Alert]
    next_before: str | None
    next_after: str | None
    has_more: bool
