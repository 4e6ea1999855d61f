"""Traced tasks, and the spans of an attempt as a trace viewer returns them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from pydantic import SecretStr

from harness.http_server import HttpServer
from taskapi.app import create_app
from taskcore.observability.tracing.memory_store import InMemorySpanStore
from taskcore.observability.tracing.provider import Tracing
from taskcore.settings import Settings, TracingSettings
from tests.taskapi.api_helpers import Database
from tests.taskapi.conftest import ANYTHING, register_type, running_app, transport_to

TRACE = "0af7651916cd43dd8448eb211c80319c"
LATER = "1bf7651916cd43dd8448eb211c80319c"
BEGIN_NS = 1_790_000_000_000_000_000
MS = 1_000_000


@asynccontextmanager
async def api_client(
    url: str, own: Tracing | None = None, local: InMemorySpanStore | None = None, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of an API with these settings."""
    register_type(url, "noop", ANYTHING)
    tracing = own or Tracing.start(Settings(), "taskcore-api")
    app = create_app(Settings(database_url=SecretStr(url), **settings), tracing, span_store=local)
    transport = transport_to(app)
    async with running_app(app), httpx.AsyncClient(transport=transport, base_url="http://api/api/v1") as client:
        yield client


def viewer_settings(server: HttpServer) -> TracingSettings:
    """Return the settings that make `server` the trace viewer of the API."""
    return TracingSettings(query_url=f"{server.url}/traces/{{trace_id}}")


def span_names(answer: httpx.Response, index: int = 0) -> list[tuple[int, str]]:
    """Return depth and name of each span of the trace at `index`."""
    assert answer.status_code == 200, answer.text
    return [(span["depth"], span["name"]) for span in answer.json()["traces"][index]["spans"]]


def mark_traced(database: Database, task_id: int, trace_id: str = TRACE) -> None:
    """Store a trace context, like a submit whose request is sampled."""
    database.execute(
        "UPDATE task SET trace_context = %s WHERE id = %s", [f"00-{trace_id}-00000000000000a1-01", task_id]
    )


def add_attempt(
    database: Database, task_id: int, attempt: int, trace_id: str | None = None, span_id: str | None = None
) -> None:
    """Store a finished attempt."""
    database.execute(
        "INSERT INTO task_attempt (task_id, attempt, worker_id, started_at, finished_at, outcome, trace_id, span_id)"
        " VALUES (%s, %s, 7, now(), now(), 'failed', %s, %s)",
        [task_id, attempt, trace_id, span_id],
    )


def span(number: int, parent: int | None, name: str, at_ms: int, ms: int, **more: Any) -> dict[str, Any]:
    """Return a span of `TRACE` as OTLP JSON, with ids as hexadecimal digits."""
    return {
        "traceId": TRACE,
        "spanId": f"{number:016x}",
        **({} if parent is None else {"parentSpanId": f"{parent:016x}"}),
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(BEGIN_NS + at_ms * MS),
        "endTimeUnixNano": str(BEGIN_NS + (at_ms + ms) * MS),
    } | more


def task_attributes(task_id: int, attempt: int = 1) -> list[dict[str, Any]]:
    """Return the attributes that name the task of a span."""
    return [
        {"key": "taskcore.task.id", "value": {"intValue": str(task_id)}},
        {"key": "taskcore.task.attempt", "value": {"intValue": attempt}},
    ]


def resource_spans(namespace: str = "taskcore", **services: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = [{"key": "service.namespace", "value": {"stringValue": namespace}}]
    return [
        {
            "resource": {"attributes": [*names, {"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"scope": {"name": "taskcore"}, "spans": spans}],
        }
        for service, spans in services.items()
    ]


def in_base64(document: Any) -> Any:
    """Return `document` with ids in base64, as in protobuf's JSON."""
    if isinstance(document, list):
        return [in_base64(one) for one in document]
    if not isinstance(document, dict):
        return document
    names = {"traceId", "spanId", "parentSpanId"}
    return {
        name: base64.b64encode(bytes.fromhex(value)).decode() if name in names else in_base64(value)
        for name, value in document.items()
    }


def failed_task_trace(task_id: int) -> list[dict[str, Any]]:
    """Return the spans of a task whose first attempt failed."""
    error = {"status": {"code": 2, "message": "no <b>luck</b>"}}
    return resource_spans(
        taskapi=[
            span(1, None, "POST /api/v1/tasks", 0, 10, kind=2),
            span(2, 1, "INSERT task", 1, 4, kind="SPAN_KIND_CLIENT"),
        ],
        worker=[
            span(5, 4, "run noop", 60, 30, **error),
            span(4, 1, "process default", 50, 50, kind=5, attributes=task_attributes(task_id), **error),
            span(3, 1, "wait in default", 5, 46, attributes=task_attributes(task_id)),
        ],
    )


def to_json(document: Any) -> bytes:
    return json.dumps(document).encode()
