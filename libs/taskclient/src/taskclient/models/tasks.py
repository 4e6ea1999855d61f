"""Tasks, as they are submitted and as the server returns them, alone, in batches and in pages."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from taskclient.models.problems import Problem


class Status(StrEnum):
    """The status of a task. Counts are printed in this order."""

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
    """A task to submit. Fields with a default are not sent; the server takes them from the task's type.

    `run_at` needs a time zone. `timeout` bounds each attempt in seconds; `delete_after` counts seconds from the task's
    end. The task waits until the tasks whose ids are in `depends_on` have succeeded.
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
    """A submitted task and its state."""

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
    pause_reason: str | None = None
    paused_by: str | None = None
    progress: Any = None
    trace_id: str | None = None
    trace_url: str | None = None

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL


class RelatedTask(msgspec.Struct, frozen=True):
    """A dependency or a dependent of a task. `name` and `status` are None once it is deleted."""

    id: int
    name: str | None
    status: str | None


class TaskPage(msgspec.Struct, frozen=True):
    """A page, newest first. `next_cursor` is None on the last page. `total_is_capped`: there are more than `total`."""

    items: list[Task]
    total: int
    total_is_capped: bool
    next_cursor: str | None


class StatusCounts(msgspec.Struct, frozen=True):
    """The number of tasks in each status."""

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

    @property
    def finished(self) -> int:
        return self.succeeded + self.failed + self.cancelled


class BatchResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result for the task at `index`: created (`id`), already there (`id`, `existing`), or refused (`problem`)."""

    index: int
    id: int | None = None
    existing: bool = False
    problem: Problem | None = None


class BatchAnswer(msgspec.Struct, frozen=True):
    created: int
    existing: int
    refused: int
    results: list[BatchResult]
