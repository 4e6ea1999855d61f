"""What goes over HTTP, as this client sees it. A field that a newer server adds is passed over.

A status or an action is kept as text: one that this client does not know yet must not make a task unreadable.
Compare it with `Status`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


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
    losses: int = 0
    pause_requested: bool = False
    progress: Any = None

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL


class RelatedTask(msgspec.Struct, frozen=True):
    """A task that another depends on, or that depends on it. `name` and `status` are None once it is gone."""

    id: int
    name: str | None
    status: str | None


class RelatedTasks(msgspec.Struct, frozen=True):
    """A page, by id. `next_after` is None on the last one."""

    items: list[RelatedTask]
    next_after: int | None


class Items(msgspec.Struct, Generic[T], frozen=True):
    """All there are of one kind."""

    items: list[T]


class TaskPage(msgspec.Struct, frozen=True):
    """Newest first. `next_cursor` is None on the last page. With `total_is_capped` there are more than `total`."""

    items: list[Task]
    total: int
    total_is_capped: bool
    next_cursor: str | None


class HistoryEntry(msgspec.Struct, frozen=True):
    """One transition. `to_status` is None for a deletion."""

    id: int
    task_id: int
    attempt: int
    from_status: str | None
    to_status: str | None
    actor: str
    details: dict[str, Any] | None
    at: datetime


class Attempt(msgspec.Struct, frozen=True):
    """One run. The running one has neither `finished_at` nor `outcome`."""

    attempt: int
    worker_id: int | None
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    error: str | None


class LogLine(msgspec.Struct, frozen=True):
    """What an attempt said; its lines are numbered from 1."""

    attempt: int
    line: int
    at: datetime
    level: str
    message: str
    fields: dict[str, Any] | None


class TaskLog(msgspec.Struct, frozen=True):
    """Oldest first. `next_after`, given as `after`, continues behind the last line; None: there was none so far."""

    items: list[LogLine]
    next_after: str | None
    has_more: bool


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


class TaskType(msgspec.Struct, frozen=True):
    """`schema` is the JSON Schema of its parameters; `is_served`: some live worker runs it."""

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
    """A worker. `slots`: how many tasks it runs at once; `held`: how many it holds now."""

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
    """`waiting`: due and not sent to a worker; `dispatched`: sent, not claimed; `delayed`: not due yet.

    `paused_at` is set while nothing of it is started.
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


class Setting(msgspec.Struct, frozen=True):
    """A live setting: its value now, and where that comes from. `schema` is the JSON Schema of its values."""

    name: str
    value: Any
    default: Any
    source: str
    schema: dict[str, Any]
    changed_by: str | None
    changed_at: datetime | None


class FieldError(msgspec.Struct, frozen=True):
    """One thing wrong with a request. `field` is a path such as `tasks[3].parameters.to`."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why the server refused (RFC 9457). `code` is stable; `errors` names each field at fault."""

    title: str
    status: int
    code: str
    detail: str | None = None
    request_id: str | None = None
    errors: list[FieldError] = []
    task_status: str | None = None


class BatchResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the task at `index` of a batch: stored (`id`), already there (`existing`), or refused."""

    index: int
    id: int | None = None
    existing: bool = False
    problem: Problem | None = None


class BatchAnswer(msgspec.Struct, frozen=True):
    created: int
    existing: int
    refused: int
    results: list[BatchResult]
