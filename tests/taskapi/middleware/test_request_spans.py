"""The spans of requests and of their statements: whose they are, and what they do not tell."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from sqlalchemy import Executable, text
from sqlalchemy.exc import DBAPIError
from structlog.contextvars import bound_contextvars, get_contextvars

from taskapi.runtime.completion_waiters import CompletionWaiters
from taskapi.runtime.database import Database, Rows
from taskapi.runtime.notifier import Notifier
from taskapi.runtime.request_spans import statement_span
from taskcore.db.tasks.submit import tasks_by_key
from taskcore.observability.tracing.provider import Tracing

SECRET = "hunter2"


def named(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    (span,) = [span for span in exporter.get_finished_spans() if span.name == name]
    return span


async def test_a_statement_that_fails_says_so_and_shows_no_values(
    database_url: str, tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    database = Database.from_url(database_url, tracing)

    with tracing.tracer.start_as_current_span("request"), pytest.raises(DBAPIError) as raised:
        await database.read(text("SELECT length(:given) / 0").bindparams(given=SECRET))
    await database.close()

    span = named(exporter, "SELECT nothing")
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == type(raised.value).__name__
    assert SECRET not in span.to_json() + str(raised.value)


def test_what_a_statement_is_called_does_not_keep_it(tracing: Tracing) -> None:
    statement = tasks_by_key([SECRET])
    with tracing.tracer.start_as_current_span("request"), statement_span(tracing, statement):
        gone = weakref.ref(statement)

    del statement
    gc.collect()

    assert gone() is None


class Noting(Database):
    """Answers nothing, and remembers in whose context it was asked."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.found: list[object] = []

    async def read(self, statement: Executable, parameters: object = None) -> Rows:
        self.found += [get_contextvars(), trace.get_current_span()]
        self.asked.set()
        return ()

    write = read


async def test_what_several_requests_share_is_in_the_context_of_none(tracing: Tracing, database_url: str) -> None:
    woken, watched = Noting(), Noting()
    wakeups, finishes = Notifier(woken), CompletionWaiters(database_url, watched)

    with bound_contextvars(request_id="one"), tracing.tracer.start_as_current_span("request"):
        wakeups.notify()
        with finishes.waiting_for(1):
            finishes.start_watching()
            await asyncio.gather(woken.asked.wait(), watched.asked.wait())
    await wakeups.close()
    await finishes.close()

    assert woken.found[:2] == watched.found[:2] == [{}, trace.INVALID_SPAN]
