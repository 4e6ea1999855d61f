"""Tracing within the test process: a tracer, and the spans that it recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk import trace as trace_sdk
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span

from taskcore.observability.tracing.provider import Tracing
from taskcore.settings import Settings


class SpanRecorder:
    """Records spans. `run` is the span in which a plugin runs."""

    def __init__(self, *also: SpanProcessor) -> None:
        self._kept = InMemorySpanExporter()
        self._provider = TracerProvider(shutdown_on_exit=False)
        for processor in (SimpleSpanProcessor(self._kept), *also):
            self._provider.add_span_processor(processor)
        self.tracer = self._provider.get_tracer("tests")

    @contextmanager
    def run(self) -> Iterator[Span]:
        with self.tracer.start_as_current_span("run", record_exception=False) as span:
            yield span

    @property
    def spans(self) -> list[ReadableSpan]:
        """The finished spans except `run`, in order of their end."""
        return [span for span in self._kept.get_finished_spans() if span.name != "run"]

    @property
    def only_span(self) -> ReadableSpan:
        (only,) = self.spans
        return only


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


def traceparent(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Return the exporter that receives the spans of `tracing`."""
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Tracing:
    return Tracing.start(Settings(), "tests", extra_processors=[SimpleSpanProcessor(exporter)])


@pytest.fixture
def traced() -> SpanRecorder:
    return SpanRecorder()


class RaisingProcessor(SpanProcessor):
    """Raises at the start or the end of each span, as a user's span processor might."""

    def __init__(self, moment: str) -> None:
        self._at = moment

    def on_start(self, span: trace_sdk.Span, parent_context: Context | None = None) -> None:
        self._raise("start")

    def on_end(self, span: ReadableSpan) -> None:
        self._raise("end")

    def _raise(self, moment: str) -> None:
        if moment == self._at:
            raise RuntimeError(f"at the {moment} of a span")
