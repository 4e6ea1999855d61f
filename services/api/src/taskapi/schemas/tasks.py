"""Tasks, as they stand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from taskcore.domain.states import Action, Status


class Task(msgspec.Struct, frozen=True):
    """A task: what was asked, and how it stands.

    `failures` count against `max_attempts`; `crashes` are attempts that took their process down, `worker_losses` those that
    died with a worker. `progress` is what the task told last. `timeout` and `delete_after` are seconds. `trace_id` is
    null where the task is not followed; `trace_url` shows the trace, where the setting `trace_url_template` says how.
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
    worker_losses: int
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
    trace_id: str | None
    trace_url: str | None
    available_actions: list[Action]


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


class RelatedTaskPage(msgspec.Struct, frozen=True):
    """By id. `next_after` goes on behind the last one, as `after`; null when there is no more."""

    items: list[RelatedTask]
    next_after: int | None


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


class ActionReason(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Why something is done, for the record."""

    reason: Annotated[str, Meta(max_length=1_000)] | None = None
