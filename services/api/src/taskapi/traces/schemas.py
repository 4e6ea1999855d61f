"""What goes over HTTP of traces."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec


class SpanLink(msgspec.Struct, frozen=True):
    """`attempt`: the attempt of the task that it leads to; null for the submission, and for what is not the task's."""

    trace_id: str
    span_id: str
    attempt: int | None


class SpanEvent(msgspec.Struct, frozen=True):
    name: str
    at: datetime
    attributes: dict[str, Any]


class TraceSpan(msgspec.Struct, frozen=True):
    """`depth` says how far it is indented; `parent_id` is null at the beginning of all."""

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
    """`spans` are a tree that is read from top to bottom, those with the same parent oldest first.

    `attempts` are those that it is the trace of. No spans: they are not there yet, or not any more. `spans_omitted`
    counts those of other tasks in the same trace, and those beyond 2,000.
    """

    trace_id: str
    url: str | None
    attempts: list[int]
    spans: list[TraceSpan]
    spans_omitted: int


class TaskTrace(msgspec.Struct, frozen=True):
    """Oldest first: the trace of the submission and of the first attempt, then a trace for each later attempt.

    `source`: a `viewer` was asked, or the spans are `local`, those that the process itself keeps.
    """

    task_id: int
    source: Literal["viewer", "local"]
    traces: list[Trace]
