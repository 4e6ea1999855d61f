"""What became of a task: its transitions, its attempts, what they said."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


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
    trace_id: str | None = None
    trace_url: str | None = None


class LogLine(msgspec.Struct, frozen=True):
    """What an attempt said; its lines are numbered from 1."""

    attempt: int
    line: int
    at: datetime
    level: str
    message: str
    fields: dict[str, Any] | None


class LogPage(msgspec.Struct, frozen=True):
    """Oldest first. `next_after`, given as `after`, continues behind the last line; None: there was none so far."""

    items: list[LogLine]
    next_after: str | None
    has_more: bool
