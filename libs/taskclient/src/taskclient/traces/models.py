"""What goes over HTTP of traces, as this client sees it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class SpanLink(msgspec.Struct, frozen=True):
    """`attempt`: the attempt of the task that it leads to; None for the submission, and for what is not the task's."""

    trace_id: str
    span_id: str
    attempt: int | None


class SpanEvent(msgspec.Struct, frozen=True):
    name: str
    at: datetime
    attributes: dict[str, Any]


class TraceSpan(msgspec.Struct, frozen=True):
    """`depth` says how far it is indented. `status` is `unset`, `ok` or `error`."""

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
    """The trace of `attempts`. `spans` are a tree, read from top to bottom; none: not there yet, or not any more.

    `spans_omitted` counts those that are not about this task, and those that are too many.
    """

    trace_id: str
    url: str | None
    attempts: list[int]
    spans: list[TraceSpan]
    spans_omitted: int


class TaskTrace(msgspec.Struct, frozen=True):
    """Oldest first. `source` says who keeps the spans: a `viewer`, or the server itself (`local`)."""

    task_id: int
    source: str
    traces: list[Trace]
