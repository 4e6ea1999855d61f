"""What became of a task: its transitions, its attempts, what they said."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from taskcore.domain.states import Status


class HistoryEntry(msgspec.Struct, frozen=True):
    """One transition. `to_status` is null for a deletion.

    `actor` says who: `user:<name>` as the caller called itself, or `api`; `worker:<id>`, `coordinator`, `task:<id>`.
    """

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
    """One run. The running one has neither `finished_at` nor `outcome`, nor a `trace_id` unless it is the first."""

    attempt: int
    worker_id: int | None
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    error: str | None
    trace_id: str | None
    trace_url: str | None


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


class LogPage(msgspec.Struct, frozen=True):
    """Oldest first. `next_after`, given as `after`, continues behind the last line; null: there was none so far."""

    items: list[LogLine]
    next_after: str | None
    has_more: bool
