"""Task types, workers, queues and live settings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class TaskType(msgspec.Struct, frozen=True):
    """A task type. `schema` is the JSON Schema of its parameters; `is_served`: a live worker runs it."""

    name: str
    description: str
    queue: str
    max_attempts: int
    retry: dict[str, Any]
    schema: dict[str, Any]
    is_served: bool
    seen_at: datetime
    timeout: float | None = None
    isolation: str = "thread"
    can_cancel: bool = True
    can_pause: bool = False


class Worker(msgspec.Struct, frozen=True):
    """A worker. `slots` is how many tasks it runs at once, `held` how many it has claimed now."""

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


class Queue(msgspec.Struct, frozen=True):
    """A queue. `waiting` tasks are due but not dispatched, `dispatched` ones not claimed yet, `delayed` ones not due.

    `paused_at` is set while the queue is paused.
    """

    name: str
    waiting: int
    dispatched: int
    delayed: int
    running: int
    live_slots: int
    oldest_age_s: float | None
    paused_at: datetime | None = None
    pause_reason: str | None = None
    paused_by: str | None = None


class Setting(msgspec.Struct, frozen=True):
    """A live setting: its effective value and where that comes from. `schema` is the JSON Schema of its values."""

    name: str
    value: Any
    default: Any
    source: str
    schema: dict[str, Any]
    changed_by: str | None
    changed_at: datetime | None
