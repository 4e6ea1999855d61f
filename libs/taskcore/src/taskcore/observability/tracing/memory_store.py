"""The spans of recent traces, in memory, for a process without a trace viewer. Bounded and thread-safe."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import SpanContext, SpanKind

from taskcore.domain.documents import clean_text
from taskcore.observability.tracing.propagation import ids_of
from taskcore.observability.tracing.span_codec import clean_attributes
from taskcore.observability.tracing.span_record import SpanEvent, SpanRecord

MAX_TEXT = 2_000
MAX_EVENTS = 20
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(eq=False)
class InMemorySpanStore(SpanProcessor):
    """Keeps the newest traces, each with its first spans up to a limit. Traces of read requests are not kept."""

    max_traces: int = 500
    max_spans: int = 20_000
    max_spans_per_trace: int = 1_000
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _traces: dict[str, list[SpanRecord]] = field(default_factory=dict, init=False)
    _count: int = field(default=0, init=False)

    def on_end(self, span: ReadableSpan) -> None:
        with self._lock:
            count = len(self._traces.get(ids_of(_valid(span.context)).trace_id, ()))
        if count >= self.max_spans_per_trace:
            return  # before the cost of a record: a large batch is one trace
        record = to_record(span)
        with self._lock:
            if _is_read_request(record):
                self._evict(record.trace_id)
            else:
                self._keep(record)

    def spans(self, trace_id: str) -> list[SpanRecord]:
        """Return the spans of one trace in the order of their ends; none for an unknown trace."""
        with self._lock:
            return list(self._traces.get(trace_id, ()))

    def _keep(self, span: SpanRecord) -> None:
        kept = self._traces.setdefault(span.trace_id, [])
        if len(kept) < self.max_spans_per_trace:  # other threads may have added some
            kept.append(span)
            self._count += 1
        while len(self._traces) > self.max_traces or self._count > self.max_spans:
            self._evict(next(iter(self._traces)))

    def _evict(self, trace_id: str) -> None:
        self._count -= len(self._traces.pop(trace_id, ()))


def to_record(span: ReadableSpan) -> SpanRecord:
    ids = ids_of(_valid(span.context))
    return SpanRecord(
        trace_id=ids.trace_id,
        span_id=ids.span_id,
        parent_id=None if span.parent is None else ids_of(span.parent).span_id,
        service=str(span.resource.attributes.get("service.name", "")),
        name=_text(span.name),
        kind=span.kind.name.lower(),
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status=span.status.status_code.name.lower(),
        status_message=_text(span.status.description) if span.status.description else None,
        attributes=clean_attributes(span.attributes, MAX_TEXT),
        links=tuple(ids_of(link.context) for link in span.links),
        events=tuple(
            SpanEvent(_text(event.name), event.timestamp, clean_attributes(event.attributes, MAX_TEXT))
            for event in span.events[-MAX_EVENTS:]
        ),
    )


def _is_read_request(span: SpanRecord) -> bool:
    """Whether the span is the root of a request that changes nothing."""
    is_request = span.kind == SpanKind.SERVER.name.lower() and span.parent_id is None
    return is_request and span.attributes.get("http.request.method") in READ_METHODS


def _text(text: str) -> str:
    """Return `text`, cut off and without characters that JSON cannot represent."""
    return clean_text(text[:MAX_TEXT])


def _valid(context: SpanContext | None) -> SpanContext:
    if context is None:
        raise ValueError("a finished span has a context")
    return context
