"""Exports finished spans on a thread of its own. Spans beyond a limit are dropped and counted; nothing ever waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from taskcore.observability.metrics import SPANS_DROPPED

BATCH_SIZE = 512
EXPORT_INTERVAL_S = 1.0

log = structlog.stdlib.get_logger(__name__)


class BoundedSpanProcessor(BatchSpanProcessor):
    def __init__(self, exporter: SpanExporter, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._queued = 0
        super().__init__(
            _CountingExporter(exporter, self._on_taken),
            max_queue_size=limit + BATCH_SIZE,
            max_export_batch_size=BATCH_SIZE,
            schedule_delay_millis=EXPORT_INTERVAL_S * 1000,
        )

    def on_end(self, span: ReadableSpan) -> None:
        with self._lock:
            has_room = self._queued < self._limit
            self._queued += has_room
        if has_room:
            super().on_end(span)
        else:
            SPANS_DROPPED.labels("queue_full").inc()

    def _on_taken(self, count: int) -> None:
        """Count down. A short batch means an empty queue: reset what interrupted attempts may have counted too high."""
        with self._lock:
            self._queued = self._queued - count if count == BATCH_SIZE else 0


class _CountingExporter(SpanExporter):
    """Counts what is taken from the queue, and logs when exports start to fail and when they succeed again."""

    def __init__(self, exporter: SpanExporter, on_taken: Callable[[int], None]) -> None:
        self._exporter = exporter
        self._on_taken = on_taken
        self._fails = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._on_taken(len(spans))
        result = self._exporter.export(spans)
        fails = result is not SpanExportResult.SUCCESS
        if fails:
            SPANS_DROPPED.labels("not_exported").inc(len(spans))
        if fails != self._fails:
            self._fails = fails
            log.warning("spans.export_failed" if fails else "spans.export_recovered", spans=len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
