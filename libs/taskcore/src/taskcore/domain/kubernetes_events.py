"""Kubernetes events in the one shape that is stored, whichever API group they come from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One version of an event.

    `kind`, `name` and `involved_uid` identify the object that the event is about. `count` is how often it has happened
    so far, and `at` when it was last observed.
    """

    uid: str
    resource_version: str
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
    task_id: int | None = None
    involved_uid: str = ""


@dataclass(frozen=True, slots=True)
class StoredEvent(Event):
    """A version that the open transaction has stored as the current one of its event."""

    id: int = 0
    cluster: str = ""
