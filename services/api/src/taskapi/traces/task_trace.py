"""Reading the traces of a task."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from litestar import get
from sqlalchemy import RowMapping

from taskapi.http.parameters import TaskId, problem_response, problem_responses
from taskapi.http.problems import ProblemError
from taskapi.runtime.services import AppServices, Services
from taskapi.runtime.trace_sources import SpansByTrace
from taskapi.schemas.problems import Problem, ProblemCode
from taskapi.tasks.queries import fetch_task_row
from taskapi.traces import schemas
from taskapi.traces.tree import Branch, build_tree
from taskcore.db.tasks import queries
from taskcore.observability.tracing.propagation import trace_id_of

MAX_ATTEMPTS = 10

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNAVAILABLE = problem_response(
    "The database or the trace viewer is unavailable: try again after `Retry-After` seconds."
)


@dataclass(frozen=True, slots=True)
class TracedAttempts:
    """The attempts of each trace of a task, oldest first, and the attempt of each span that is one."""

    by_trace: dict[str, list[int]] = field(default_factory=dict)
    by_span: dict[str, int] = field(default_factory=dict)


@get(
    "/tasks/{task_id:int}/trace",
    summary="Get a task's trace",
    responses={**problem_responses(404, 409), 503: _UNAVAILABLE},
)
async def get_task_trace(services: AppServices, task_id: TaskId) -> schemas.TaskTrace:
    """Return the spans of the submission of a task, and of its last 10 attempts."""
    return await fetch_trace(services, await fetch_task_row(services, task_id))


async def fetch_trace(services: Services, task: RowMapping) -> schemas.TaskTrace:
    """Raise `ProblemError` when the task has no trace, or there is nothing to read it from."""
    submission = trace_id_of(task["trace_context"])
    if submission is None:
        raise _not_recorded(task["id"], services.tracing.is_enabled)
    if (source := services.traces.source) is None:
        raise _viewer_not_configured()
    last = {"task_id": task["id"], "after": max(task["attempt"] - MAX_ATTEMPTS, 0), "most": MAX_ATTEMPTS}
    rows = await services.database.read(queries.list_attempts(), last)
    attempts = plan_traces(submission, [row._mapping for row in rows])
    spans = await source.find_spans(list(attempts.by_trace))
    traces = await asyncio.to_thread(_traces, services, task["id"], attempts, spans)
    return schemas.TaskTrace(task["id"], source.name, traces)


def plan_traces(submission: str, attempts: Sequence[RowMapping]) -> TracedAttempts:
    """Return the traces to read. The first attempt continues the trace of the `submission`."""
    traced = TracedAttempts({submission: [1]})
    for row in attempts:
        if row["trace_id"] is not None:
            known = traced.by_trace.setdefault(row["trace_id"], [])
            known += [row["attempt"]] if row["attempt"] not in known else []
        if row["span_id"] is not None:
            traced.by_span[row["span_id"]] = row["attempt"]
    return traced


def _traces(services: Services, task_id: int, traced: TracedAttempts, spans: SpansByTrace) -> list[schemas.Trace]:
    found = []
    for trace_id, attempts in traced.by_trace.items():
        tree, omitted = build_tree(spans[trace_id], task_id)
        shown = [_span(branch, traced.by_span) for branch in tree]
        url = services.traces.links.url_for(task_id, trace_id)
        found.append(schemas.Trace(trace_id, url, attempts, shown, omitted))
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


def _not_recorded(task_id: int, is_tracing: bool) -> ProblemError:
    if is_tracing:
        why = "was not sampled: see the settings tracing.sample_ratio and tracing.max_traces_per_s"
    else:
        why = "has no trace, because the setting tracing.endpoint is not set"
    problem = Problem("No trace", 404, ProblemCode.TRACE_NOT_RECORDED, detail=f"Task {task_id} {why}.")
    return ProblemError(problem)


def _viewer_not_configured() -> ProblemError:
    detail = "Set tracing.query_url to the URL at which the trace viewer returns a trace."
    title = "No trace viewer is configured"
    return ProblemError(Problem(title, 409, ProblemCode.TRACE_VIEWER_NOT_CONFIGURED, detail=detail))
