"""Response models of the calls about traces."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class SpanLink(msgspec.Struct, frozen=True):
    """A link to another span. `attempt` is the task's attempt that it belongs to; None if it belongs to none."""

    trace_id: str
    span_id: str
    attempt: int | None


class SpanEvent(msgspec.Struct, frozen=True):
    name: str
    at: datetime
    attributes: dict[str, Any]


class TraceSpan(msgspec.Struct, frozen=True):
    """A span. `depth` is its level in the tree. `status` is `unset`, `ok` or `error`."""

    depth: int
    service: str
    name: str
    kind: str
    span_id: str
    parent_id: str | None
    start: datetime
    end: datetime
    duration_s: float
    status: str
    status_message: str | None
    attributes: dict[str, Any]
    links: list[SpanLink]
    events: list[SpanEvent]


class Trace(msgspec.Struct, frozen=True):
    """The trace of `attempts`. `spans` is a tree in depth-first order; empty when not yet or no longer available.

    `spans_omitted` counts spans of other tasks, and those over the limit.
    """

    trace_id: str
    url: str | None
    attempts: list[int]
    spans: list[TraceSpan]
    spans_omitted: int


class TaskTrace(msgspec.Struct, frozen=True):
    """The traces of a task, oldest first. `source` is where the spans come from: `viewer`, or `local` (the server)."""

    task_id: int
    source: str
    traces: list[Trace]
