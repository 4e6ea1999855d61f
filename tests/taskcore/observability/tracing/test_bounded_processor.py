"""The queue of spans that wait to be exported."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from harness.span_recorder import SpanRecorder
from taskcore.observability.metrics import SPANS_DROPPED
from taskcore.observability.tracing.bounded_processor import BATCH_SIZE, BoundedSpanProcessor


class BlockingExporter(SpanExporter):
    """Takes one batch, and blocks until it is released."""

    def __init__(self) -> None:
        self.taken = threading.Event()
        self.released = threading.Event()
        self.count = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.count += len(spans)
        self.taken.set()
        self.released.wait()
        return SpanExportResult.FAILURE


def test_spans_beyond_the_queue_are_dropped_and_every_span_is_counted() -> None:
    before = {reason: SPANS_DROPPED.labels(reason)._value.get() for reason in ("queue_full", "not_exported")}
    exporter = BlockingExporter()
    processor = BoundedSpanProcessor(exporter, limit=BATCH_SIZE)
    provider = TracerProvider()
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("tests")

    for _ in range(BATCH_SIZE):
        tracer.start_span("taken", Context()).end()
    assert exporter.taken.wait(60)
    for _ in range(3 * BATCH_SIZE):
        tracer.start_span("too many", Context()).end()
    dropped = SPANS_DROPPED.labels("queue_full")._value.get() - before["queue_full"]
    exporter.released.set()
    provider.shutdown()

    assert dropped >= 2 * BATCH_SIZE
    assert exporter.count + dropped == 4 * BATCH_SIZE
    assert SPANS_DROPPED.labels("not_exported")._value.get() - before["not_exported"] == exporter.count


class InterruptingSpan(ReadableSpan):
    """A span whose export interrupts its thread."""

    @property
    def context(self) -> Any:
        raise KeyboardInterrupt


def test_spans_whose_export_was_interrupted_do_not_fill_the_queue_for_good() -> None:
    kept = InMemorySpanExporter()
    export = BoundedSpanProcessor(kept, limit=BATCH_SIZE)
    traced = SpanRecorder(export)
    for _ in range(BATCH_SIZE - 1):
        with pytest.raises(KeyboardInterrupt):
            export.on_end(InterruptingSpan("lost"))

    traced.tracer.start_span("first").end()
    export.force_flush()
    for _ in range(BATCH_SIZE):
        traced.tracer.start_span("later").end()
    export.shutdown()  # type: ignore[no-untyped-call]

    assert len(kept.get_finished_spans()) == 1 + BATCH_SIZE
