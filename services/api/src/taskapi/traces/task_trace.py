"""The traces of a task, as one document."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from litestar import get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from sqlalchemy import RowMapping

from taskapi.http.parameters import PROBLEM_MEDIA_TYPE, TaskId, problem_responses
from taskapi.http.problems import trace_not_recorded, trace_viewer_not_configured
from taskapi.runtime.services import Services
from taskapi.runtime.trace_sources import SpansByTrace
from taskapi.schemas import Problem
from taskapi.tasks.queries import fetch_task_row
from taskapi.traces import schemas
from taskapi.traces.tree import Branch, build_tree
from taskcore.db.tasks import queries
from taskcore.observability.tracing.propagation import trace_id_of

MAX_ATTEMPTS = 10

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNAVAILABLE = ResponseSpec(
    Problem,
    media_type=PROBLEM_MEDIA_TYPE,
    description="The database or the trace viewer is away: try again after `Retry-After` seconds.",
    generate_examples=False,
)


@dataclass(frozen=True, slots=True)
class TracedAttempts:
    """A task's traces, oldest first, with the attempts of each; and the attempts by their spans' ids."""

    by_trace: dict[str, list[int]] = field(default_factory=dict)
    by_span: dict[str, int] = field(default_factory=dict)


@get(
    "/tasks/{task_id:int}/trace",
    operation_id="get_task_trace",
    summary="Get a task's trace",
    tags=["tasks"],
    responses={**problem_responses(404, 409), 503: _UNAVAILABLE},
)
async def get_trace(services: NamedDependency[Services], task_id: TaskId) -> schemas.TaskTrace:
    """What was done for it, span by span: of its submission, and of its newest 10 attempts."""
    return await fetch_trace(services, await fetch_task_row(services, task_id))


async def fetch_trace(services: Services, task: RowMapping) -> schemas.TaskTrace:
    """Raises `Refused`."""
    own = trace_id_of(task["trace_context"])
    if own is None:
        raise trace_not_recorded(task["id"], services.tracing.is_enabled)
    if (source := services.traces.source) is None:
        raise trace_viewer_not_configured()
    rows = await services.database.read(queries.list_attempts(), {"task_id": task["id"]})
    followed = plan_traces(own, [row._mapping for row in rows])
    spans = await source.find_spans(list(followed.by_trace))
    traces = await asyncio.to_thread(_traces, services, task["id"], followed, spans)
    return schemas.TaskTrace(task["id"], source.name, traces)


def plan_traces(own: str, attempts: Sequence[RowMapping]) -> TracedAttempts:
    """`own` is the trace of the submission; the first attempt goes on with it, even before it has ended."""
    followed = TracedAttempts({own: [1]})
    for row in attempts[-MAX_ATTEMPTS:]:
        if row["trace_id"] is not None:
            known = followed.by_trace.setdefault(row["trace_id"], [])
            known += [row["attempt"]] if row["attempt"] not in known else []
        if row["span_id"] is not None:
            followed.by_span[row["span_id"]] = row["attempt"]
    return followed


def _traces(services: Services, task_id: int, followed: TracedAttempts, spans: SpansByTrace) -> list[schemas.Trace]:
    found = []
    for trace_id, attempts in followed.by_trace.items():
        tree, left_off = build_tree(spans[trace_id], task_id)
        shown = [_span(branch, followed.by_span) for branch in tree]
        url = services.traces.links.url_for(task_id, trace_id)
        found.append(schemas.Trace(trace_id, url, attempts, shown, left_off))
    return found


def _span(branch: Branch, attempts: Mapping[str, int]) -> schemas.TraceSpan:
    span = branch.span
    return schemas.TraceSpan(
        depth=branch.depth,
        service=span.service,
        name=span.name,
        kind=cast(Any, span.kind),
        span_id=span.span_id,
        parent_id=span.parent_id,
        start=_time(span.start_ns),
        end=_time(span.end_ns),
        duration_s=(span.end_ns - span.start_ns) / 1_000_000_000,
        status=cast(Any, span.status),
        status_message=span.status_message,
        attributes=dict(span.attributes),
        links=[schemas.SpanLink(link.trace_id, link.span_id, attempts.get(link.span_id)) for link in span.links],
        events=[schemas.SpanEvent(event.name, _time(event.time_ns), dict(event.attributes)) for event in span.events],
    )


def _time(since_epoch_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=since_epoch_ns // 1_000)
