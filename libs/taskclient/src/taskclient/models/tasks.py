"""Tasks: what is asked, and how they stand."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class Status(StrEnum):
    """How a task stands. The order is the order in which counts are printed."""

    BLOCKED = "blocked"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})


class NewTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task to run. What is left out is not sent, and comes from the task's type. `run_at` needs a time zone.

    In seconds: `timeout` bounds each attempt, `delete_after` counts from the task's end. It waits until the tasks whose
    ids are in `depends_on` have succeeded.
    """

    name: str
    type: str
    parameters: dict[str, Any] = {}
    queue: str | None = None
    priority: int = 0
    run_at: datetime | None = None
    max_attempts: int | None = None
    labels: dict[str, str] = {}
    description: str | None = None
    timeout: float | None = None
    delete_after: float | None = None
    depends_on: list[int] = []


class Task(msgspec.Struct, frozen=True):
    """A task: what was asked, and how it stands."""

    id: int
    name: str
    type: str
    queue: str
    status: str
    priority: int
    parameters: dict[str, Any]
    labels: dict[str, str]
    description: str | None
    run_at: datetime | None
    max_attempts: int
    attempt: int
    failures: int
    result: Any
    error: str | None
    reason: str | None
    worker_id: int | None
    request_id: str | None
    idempotency_key: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    available_actions: list[str]
    timeout: float | None = None
    delete_after: float | None = None
    crashes: int = 0
    worker_losses: int = 0
    pause_requested: bool = False
    progress: Any = None
    trace_id: str | None = None
    trace_url: str | None = None

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL


class RelatedTask(msgspec.Struct, frozen=True):
    """A task that another depends on, or that depends on it. `name` and `status` are None once it is gone."""

    id: int
    name: str | None
    status: str | None


class RelatedTaskPage(msgspec.Struct, frozen=True):
    """A page, by id. `next_after` is None on the last one."""

    items: list[RelatedTask]
    next_after: int | None


class TaskPage(msgspec.Struct, frozen=True):
    """Newest first. `next_cursor` is None on the last page. With `total_is_capped` there are more than `total`."""

    items: list[Task]
    total: int
    total_is_capped: bool
    next_cursor: str | None


class StatusCounts(msgspec.Struct, frozen=True):
    """How many tasks stand at each status."""

    blocked: int
    scheduled: int
    queued: int
    running: int
    retrying: int
    paused: int
    cancelling: int
    succeeded: int
    failed: int
    cancelled: int
    total: int
