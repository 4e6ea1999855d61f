"""Tasks and their current state."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from taskcore.domain.states import Action, Status


class Task(msgspec.Struct, frozen=True):
    """A task and its current state.

    `failures` count against `max_attempts`. `crashes` are attempts that ended with their process, and `worker_losses`
    those that ended with their worker. `progress` is the last one that the task reported. `timeout` and `delete_after`
    are in seconds. `trace_id` is null when the task is not traced; `trace_url` is built from the setting
    `trace_url_template`.
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
    pause_reason: str | None
    paused_by: str | None
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
    """A page, newest first. `next_cursor` is null on the last one. `total_is_capped` if there are more than `total`."""

    items: list[Task]
    total: int
    total_is_capped: bool
    next_cursor: str | None


class RelatedTask(msgspec.Struct, frozen=True):
    """A task that another depends on, or that depends on it. `name` and `status` are null once it is deleted."""

    id: int
    name: str | None
    status: Status | None


class RelatedTaskPage(msgspec.Struct, frozen=True):
    """A page, by id. `next_after` is the `after` of the next page, null on the last one."""

    items: list[RelatedTask]
    next_after: int | None


class StatusCounts(msgspec.Struct, frozen=True):
    """The number of tasks per status."""

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
    """Why the action is taken, to be recorded."""

    reason: Annotated[str, Meta(max_length=1_000)] | None = None
