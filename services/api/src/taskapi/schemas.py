"""What goes over HTTP: the bodies of requests and answers, and nothing else.

Limits that can be said in JSON Schema are said here; what cannot is checked in `taskcore.submissions`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from taskcore.domain import tasks as limits
from taskcore.domain.dependencies import MAX_DEPENDENCIES
from taskcore.domain.states import Action, Status
from taskcore.submissions import Asked, KnownId
from taskcore.submissions import TaskSubmission as TaskSubmission  # for the document

Ref = Annotated[str, Meta(min_length=1, max_length=limits.MAX_NAME)]


class BatchTask(Asked, frozen=True):
    """As a task that is submitted alone. It may also depend on others of its batch, which it names by their `ref`."""

    depends_on: Annotated[list[KnownId | Ref], Meta(max_length=MAX_DEPENDENCIES)] = []  # noqa: RUF012
    ref: Ref | None = None


class BatchSubmission(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Up to 10,000 tasks. `atomic`: all or nothing; otherwise the good ones are taken, if there are any."""

    tasks: Annotated[list[BatchTask], Meta(min_length=1, max_length=limits.MAX_BATCH_TASKS)]
    atomic: bool = True


class Task(msgspec.Struct, frozen=True):
    """A task: what was asked, and how it stands.

    `failures` count against `max_attempts`; `crashes` are attempts that took their process down, `losses` those that
    died with a worker. `progress` is what the task told last. `timeout` and `delete_after` are seconds.
    """

    id: int
    name: str
    type: str
    queue: str
    status: Status
    priority: int
    parameters: dict[str, Any]
    labels: dict[str, str]
    description: str | None
    run_at: datetime | None
    max_attempts: int
    timeout: float | None
    delete_after: float | None
    attempt: int
    failures: int
    crashes: int
    losses: int
    pause_requested: bool
    progress: Any
    result: Any
    error: str | None
    reason: str | None
    worker_id: int | None
    request_id: str | None
    idempotency_key: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    available_actions: list[Action]


class FieldError(msgspec.Struct, frozen=True):
    """One thing wrong with a request. `field` is a path such as `tasks[3].parameters.to`."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error (RFC 9457, `application/problem+json`). `code` is stable; `errors` names each field at fault."""

    title: str
    status: int
    code: str
    type: str = "about:blank"
    detail: str | None = None
    request_id: str | None = None
    errors: list[FieldError] = []
    task_status: Status | None = None


class BatchResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the task at `index` of a batch: stored (`id`), already there (`id`, `existing`), or refused."""

    index: int
    id: int | None = None
    existing: bool = False
    problem: Problem | None = None


class BatchAnswer(msgspec.Struct, frozen=True):
    created: int
    existing: int
    refused: int
    results: list[BatchResult]


class TaskPage(msgspec.Struct, frozen=True):
    """Newest first. `next_cursor` is null on the last page. `total` counts up to 100,000; `total_is_capped` beyond."""

    items: list[Task]
    total: int
    total_is_capped: bool
    next_cursor: str | None


class RelatedTask(msgspec.Struct, frozen=True):
    """A task that another depends on, or that depends on it. `name` and `status` are null once it is gone."""

    id: int
    name: str | None
    status: Status | None


class RelatedTasks(msgspec.Struct, frozen=True):
    """By id. `next_after` goes on behind the last one, as `after`; null when there is no more."""

    items: list[RelatedTask]
    next_after: int | None


class HistoryEntry(msgspec.Struct, frozen=True):
    """One transition. `to_status` is null for a deletion; `actor` says who: `api`, `worker:<id>`, `coordinator`."""

    id: int
    task_id: int
    attempt: int
    from_status: Status | None
    to_status: Status | None
    actor: str
    details: dict[str, Any] | None
    at: datetime


class History(msgspec.Struct, frozen=True):
    """Oldest first."""

    items: list[HistoryEntry]


class Attempt(msgspec.Struct, frozen=True):
    """One run. The running one has neither `finished_at` nor `outcome`."""

    attempt: int
    worker_id: int | None
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    error: str | None


class Attempts(msgspec.Struct, frozen=True):
    """Oldest first; the running one last."""

    items: list[Attempt]


class LogLine(msgspec.Struct, frozen=True):
    """What an attempt said; its lines are numbered from 1."""

    attempt: int
    line: int
    at: datetime
    level: str
    message: str
    fields: dict[str, Any] | None


class TaskLog(msgspec.Struct, frozen=True):
    """Oldest first. `next_after`, given as `after`, continues behind the last line; null: there was none so far."""

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


class Why(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Why something is done, for the record."""

    reason: Annotated[str, Meta(max_length=1_000)] | None = None


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


class Queues(msgspec.Struct, frozen=True):
    items: list[Queue]


class Setting(msgspec.Struct, frozen=True):
    """A live setting: its value now, and where that comes from. `schema` is the JSON Schema of its values.

    `source`: `default`, `file`, `environment` or `secret` as this API's process has it; `database`: changed by a call.
    """

    name: str
    value: Any
    default: Any
    source: str
    schema: dict[str, Any]
    changed_by: str | None
    changed_at: datetime | None


class Settings(msgspec.Struct, frozen=True):
    items: list[Setting]


class SettingChange(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    value: Any


class Liveness(msgspec.Struct, frozen=True):
    status: str


class Uptime(msgspec.Struct, frozen=True):
    """Seconds since the process started."""

    uptime: float
