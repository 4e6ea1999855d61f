"""Task types, workers and queues."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class TaskType(msgspec.Struct, frozen=True):
    """A task type. `schema` is the JSON Schema of its parameters; `is_served` is true while a live worker runs it.

    `timeout` (seconds) is the default of its tasks. `can_cancel` and `can_pause` apply to running tasks.
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
    """A worker. `slots` is how many tasks it runs at once, `held` how many it has claimed and not finished."""

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
    """A queue. `waiting` tasks are due, `dispatched` ones are in the broker, and `delayed` ones are not due yet.

    `paused_at` is set while the queue is paused: running tasks continue, but no other is started.
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
