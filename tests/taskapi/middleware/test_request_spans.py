"""Spans of requests and of their statements."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pydantic import SecretStr
from sqlalchemy import Executable, text
from sqlalchemy.exc import DBAPIError
from structlog.contextvars import bound_contextvars, get_contextvars

from taskapi.runtime.completion_waiters import CompletionWaiters
from taskapi.runtime.database import Database, Rows
from taskapi.runtime.notifier import Notifier
from taskapi.runtime.request_spans import statement_span
from taskcore.db.tasks.submit import tasks_by_key
from taskcore.observability.tracing.memory_store import InMemorySpanStore
from taskcore.observability.tracing.provider import Tracing
from taskcore.settings import Settings, TracingSettings
from tests.taskapi.api_helpers import submit, task_body
from tests.taskapi.traces.trace_helpers import TRACE, api_client

SECRET = "hunter2"
INVALID = trace.INVALID_SPAN_CONTEXT


def named(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    (span,) = [span for span in exporter.get_finished_spans() if span.name == name]
    return span


async def test_the_span_of_a_failed_statement_has_the_error_but_no_values(
    database_url: str, tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    database = Database.from_settings(Settings(database_url=SecretStr(database_url)), tracing)

    with tracing.tracer.start_as_current_span("request"), pytest.raises(DBAPIError) as raised:
        await database.read(text("SELECT length(:given) / 0").bindparams(given=SECRET))
    await database.close()

    span = named(exporter, "SELECT nothing")
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == type(raised.value).__name__
    assert SECRET not in span.to_json() + str(raised.value)


def test_caching_the_name_of_a_statement_does_not_keep_it_alive(tracing: Tracing) -> None:
    statement = tasks_by_key([SECRET])
    with tracing.tracer.start_as_current_span("request"), statement_span(tracing, statement):
        gone = weakref.ref(statement)

    del statement
    gc.collect()

    assert gone() is None


@pytest.mark.parametrize("call", ["cancel", "pause", "resume"])
async def test_an_action_on_a_task_is_one_transaction_even_if_refused(
    database_url: str, tracing: Tracing, exporter: InMemorySpanExporter, call: str
) -> None:
    async with api_client(database_url, tracing) as api:
        task_id = await submit(api, type="noop")
        response = await api.post(
            f"/tasks/{task_id}/{call}", headers={"traceparent": f"00-{TRACE}-00000000000000a1-01"}
        )

    assert response.status_code == (409 if call == "resume" else 200)
    names = [
        span.name for span in exporter.get_finished_spans() if f"{(span.context or INVALID).trace_id:032x}" == TRACE
    ]
    assert names.count("TRANSACTION") == 1


async def test_a_caller_does_not_get_more_traces_than_the_limit(database_url: str) -> None:
    local = InMemorySpanStore()
    settings = Settings(tracing=TracingSettings(max_traces_per_s=3))
    own = Tracing.start(settings, "taskcore-api", extra_processors=[local])

    async with api_client(database_url, own, local) as api:
        tasks = [
            await api.post("/tasks", json=task_body(), headers={"traceparent": f"00-{n:032x}-00000000000000a1-01"})
            for n in range(1, 31)
        ]
        unsampled = await api.post("/tasks", json=task_body(), headers={"traceparent": f"00-{TRACE}-{1:016x}-00"})

    traced = [task.json()["trace_id"] for task in tasks if task.json()["trace_id"]]
    assert traced[:3] == [f"{n:032x}" for n in (1, 2, 3)]
    assert len(traced) < 30
    assert unsampled.json()["trace_id"] is None


class RecordingDatabase(Database):
    """Returns no rows, and records the trace context of its calls."""

    def __init__(self) -> None:
        self.was_called = asyncio.Event()
        self.contexts: list[object] = []

    async def read(self, statement: Executable, parameters: object = None) -> Rows:
        self.contexts += [get_contextvars(), trace.get_current_span()]
        self.was_called.set()
        return ()

    write = read


async def test_shared_work_runs_outside_the_context_of_any_request(tracing: Tracing, database_url: str) -> None:
    notified, polled = RecordingDatabase(), RecordingDatabase()
    notifier, waiters = Notifier(notified), CompletionWaiters(database_url, polled, max_waiting=10)

    with bound_contextvars(request_id="one"), tracing.tracer.start_as_current_span("request"):
        notifier.notify()
        with waiters.waiting_for(1):
            waiters.start_watching()
            await asyncio.gather(notified.was_called.wait(), polled.was_called.wait())
    await notifier.close()
    await waiters.close()

    assert notified.contexts[:2] == polled.contexts[:2] == [{}, trace.INVALID_SPAN]
