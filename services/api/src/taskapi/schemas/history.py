"""The past of a task: its transitions, its attempts and their log lines."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from taskcore.domain.states import Status


class HistoryEntry(msgspec.Struct, frozen=True):
    """A transition. `to_status` is null for a deletion.

    `actor` is `user:<name>` for a caller who sends a user name and `api` for one who does not, or `worker:<id>`,
    `coordinator`, or `task:<id>`.
    """

    id: int
    task_id: int
    attempt: int
    from_status: Status | None
    to_status: Status | None
    actor: str
    details: dict[str, Any] | None
    at: datetime


class HistoryPage(msgspec.Struct, frozen=True):
    """A page, oldest first. `next_after` is the `after` of the next page, null on the last one."""

    items: list[HistoryEntry]
    next_after: int | None


class Attempt(msgspec.Struct, frozen=True):
    """An attempt. A running one has no `finished_at` and no `outcome`, and a `trace_id` only if it is the first."""

    attempt: int
    worker_id: int | None
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    error: str | None
    trace_id: str | None
    trace_url: str | None


class AttemptPage(msgspec.Struct, frozen=True):
    """A page, oldest first; a running attempt is the last. `next_after` is the `after` of the next page, or null."""

    items: list[Attempt]
    next_after: int | None


class LogLine(msgspec.Struct, frozen=True):
    """A log line of an attempt. The lines of an attempt are numbered from 1."""

    attempt: int
    line: int
    at: datetime
    level: str
    message: str
    fields: dict[str, Any] | None


class LogPage(msgspec.Struct, frozen=True):
    """A page, oldest first. `next_after` is the `after` that returns later lines, null while there is none."""

    items: list[LogLine]
    next_after: str | None
    has_more: bool
