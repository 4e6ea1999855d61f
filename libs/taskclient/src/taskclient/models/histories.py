"""The history of a task: its transitions, attempts and log lines."""

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
    """One attempt. While it runs, `finished_at` and `outcome` are None."""

    attempt: int
    worker_id: int | None
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    error: str | None
    trace_id: str | None = None
    trace_url: str | None = None


class LogLine(msgspec.Struct, frozen=True):
    """A log line of an attempt, numbered from 1."""

    attempt: int
    line: int
    at: datetime
    level: str
    message: str
    fields: dict[str, Any] | None
