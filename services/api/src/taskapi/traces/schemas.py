"""Responses about traces."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec


class SpanLink(msgspec.Struct, frozen=True):
    """A link to another span. `attempt` is the attempt of the task whose span that is, null if it is none of them."""

    trace_id: str
    span_id: str
    attempt: int | None


class SpanEvent(msgspec.Struct, frozen=True):
    name: str
    at: datetime
    attributes: dict[str, Any]


class TraceSpan(msgspec.Struct, frozen=True):
    """A span. `depth` is its level in the tree; `parent_id` is null at the root."""

    depth: int
    service: str
    name: str
    kind: Literal["internal", "server", "client", "producer", "consumer"]
    span_id: str
    parent_id: str | None
    start: datetime
    end: datetime
    duration_s: float
    status: Literal["unset", "ok", "error"]
    status_message: str | None
    attributes: dict[str, Any]
    links: list[SpanLink]
    events: list[SpanEvent]


class Trace(msgspec.Struct, frozen=True):
    """The trace of `attempts`. `spans` are a tree in depth-first order, and those with the same parent oldest first.

    There are no spans while they have not arrived, and once they have been deleted. `spans_omitted` counts the spans of
    other tasks in the same trace, and those beyond 2,000.
    """

    trace_id: str
    url: str | None
    attempts: list[int]
    spans: list[TraceSpan]
    spans_omitted: int


class TaskTrace(msgspec.Struct, frozen=True):
    """Oldest first: the trace of the submission and of the first attempt, then a trace for each later attempt.

    The `source` of the spans is the trace `viewer`, or the `local` memory of the API.
    """

    task_id: int
    source: Literal["viewer", "local"]
    traces: list[Trace]
