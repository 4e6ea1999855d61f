"""The HTML page of a task's traces. It has no scripts, and loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from litestar import Response, get

from taskapi.http.parameters import TaskId
from taskapi.http.problems import ProblemError
from taskapi.http.strict_parameters import require_plain_ids
from taskapi.runtime.services import AppServices
from taskapi.schemas.problems import ProblemCode
from taskapi.tasks import queries
from taskapi.traces.schemas import TaskTrace, Trace
from taskapi.traces.style import CONTENT_SECURITY_POLICY, STYLE
from taskapi.traces.task_trace import fetch_trace
from taskapi.traces.waterfall import format_duration, linked_attempts, render_waterfall
from taskcore.db.stored_values import stored
from taskcore.domain.states import Status

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
#: What the reader can do about a problem, by its code.
ADVICE: Mapping[str, str] = {
    ProblemCode.TRACE_NOT_RECORDED: "Its transitions are in its history: <code>task-cli history --id {task_id}</code>.",
    ProblemCode.TRACE_VIEWER_NOT_CONFIGURED: (
        "For Jaeger it is <code>http://jaeger:16686/api/v3/traces/{{trace_id}}</code>, for Tempo "
        "<code>http://tempo:3200/api/v2/traces/{{trace_id}}</code>, as <code>TASKCORE_TRACING__QUERY_URL</code> of the "
        "API."
    ),
    ProblemCode.TRACE_VIEWER_UNAVAILABLE: "Reload the page in a moment.",
    ProblemCode.TASK_NOT_FOUND: (
        "It may have been deleted. Its history stays: <code>task-cli history --id {task_id}</code>."
    ),
}


@get("/tasks/{task_id:int}/trace", include_in_schema=False, media_type="text/html", before_request=require_plain_ids)
async def show_trace(services: AppServices, task_id: TaskId) -> Response[str]:
    """Return the traces of `GET /api/v1/tasks/{id}/trace` as a page."""
    heading = f"<h1>Task {task_id}</h1>"
    try:
        task = await queries.fetch_task_row(services, task_id)
        heading = _heading(task_id, task["name"], task["type"], stored(Status, task["status"]))
        answer = await fetch_trace(services, task)
    except ProblemError as refused:
        problem = refused.problem
        advice = ADVICE.get(problem.code, "").format(task_id=task_id)
        body = f"<h2>{escape(problem.title)}</h2><p>{escape(problem.detail or '')}</p><p>{advice}</p>"
        return _page(task_id, heading + body, problem.status)
    return _page(task_id, heading + _traces(answer, stored(Status, task["status"])), 200)


def _page(task_id: int, body: str, status: int) -> Response[str]:
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Task {task_id}: trace</title><style>{STYLE}</style></head>\n<body>{body}</body></html>\n"
    )
    return Response(text, status_code=status, media_type="text/html", headers=HEADERS)


def _heading(task_id: int, name: str, type_: str, status: Status) -> str:
    api = f"../../api/v1/tasks/{task_id}"  # relative, so that it works behind a proxy with a path prefix
    return (
        f"<h1>Task {task_id}: {escape(name)}</h1>"
        f'<p class="faint">type <code>{escape(type_)}</code>, {escape(status)} '
        f'(<a href="{api}">task</a>, <a href="{api}/history">history</a>, <a href="{api}/trace">this as JSON</a>)</p>'
    )


def _traces(answer: TaskTrace, status: Status) -> str:
    sections = "\n".join(_section(answer.task_id, trace) for trace in answer.traces)
    more = "" if status.is_terminal else "<p>The task is not finished: reload the page to see more.</p>"
    return more + sections


def _section(task_id: int, trace: Trace) -> str:
    numbers = " and ".join(map(str, trace.attempts))
    head = f'<section id="{escape(trace.trace_id)}"><h2>Attempt {numbers}{_length(trace)}</h2>'
    linked = "".join(f", linked to attempt {number}" for number in linked_attempts(trace.spans))
    viewer = f' (<a href="{escape(trace.url)}">viewer</a>)' if trace.url and not _is_here(trace.url, task_id) else ""
    head += f'<p class="faint">trace <code>{escape(trace.trace_id)}</code>{viewer}{linked}</p>'
    if not trace.spans:
        return f"{head}<p>Its spans have not arrived yet, or have been deleted.</p></section>"
    rest = f"<p>{trace.spans_omitted} more spans of the same trace are not shown.</p>" if trace.spans_omitted else ""
    return f"{head}{render_waterfall(trace)}{rest}</section>"


def _length(trace: Trace) -> str:
    if not trace.spans:
        return ""
    begin, end = min(span.start for span in trace.spans), max(span.end for span in trace.spans)
    return f": {format_duration((end - begin).total_seconds())}"


def _is_here(url: str, task_id: int) -> bool:
    return url.partition("#")[0].endswith(f"/tasks/{task_id}/trace")
