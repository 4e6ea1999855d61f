"""Who does the work: types, workers, queues."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class TaskType(msgspec.Struct, frozen=True):
    """`schema` is the JSON Schema of its parameters; `is_served`: some live worker runs it.

    `timeout` (seconds) is that of a task which brings none; `can_cancel`, `can_pause`: while it runs.
    """

    name: str
    description: str
    queue: str
    max_attempts: int
    retry: dict[str, Any]
    timeout: float | None
    isolation: str
    can_cancel: bool
    can_pause: bool
    schema: dict[str, Any]
    is_served: bool
    seen_at: datetime


class TaskTypes(msgspec.Struct, frozen=True):
    items: list[TaskType]


class Worker(msgspec.Struct, frozen=True):
    """A supervisor. `slots`: how many tasks it runs at once; `held`: how many it holds now."""

    id: int
    host: str
    pid: int
    slots: int
    held: int
    queues: list[str]
    types: list[str]
    is_live: bool
    started_at: datetime
    seen_at: datetime


class Workers(msgspec.Struct, frozen=True):
    items: list[Worker]


class Queue(msgspec.Struct, frozen=True):
    """`waiting`: due and not sent to a worker; `dispatched`: sent, not claimed; `delayed`: not due yet.

    `paused_at` is set while it is paused: what runs goes on, nothing else is started.
    """

    name: str
    waiting: int
    dispatched: int
    delayed: int
    running: int
    live_slots: int
    oldest_age_s: float | None
    paused_at: datetime | None
    pause_reason: str | None
    paused_by: str | None


class Queues(msgspec.Struct, frozen=True):
    items: list[Queue]
