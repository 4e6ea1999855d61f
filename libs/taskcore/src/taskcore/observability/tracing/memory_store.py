"""The spans of recent tasks, kept in the process where no viewer keeps them. Bounded, and safe between threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind

from taskcore.domain.documents import clean_text
from taskcore.observability.tracing.span_record import RecordedEvent, RecordedLink, RecordedSpan

TRACES = 500
SPANS = 20_000
SPANS_OF_A_TRACE = 1_000
MAX_TEXT = 2_000
MAX_EVENTS = 20
READS = frozenset({"GET", "HEAD", "OPTIONS"})


class LocalSpans(SpanProcessor):
    """The newest traces, whole up to `SPANS_OF_A_TRACE`. What a request that only reads did is not kept."""

    def __init__(self, traces: int = TRACES, spans: int = SPANS, of_a_trace: int = SPANS_OF_A_TRACE) -> None:
        self._most_traces = traces
        self._most_spans = spans
        self._most_of_a_trace = of_a_trace
        self._lock = threading.Lock()
        self._traces: OrderedDict[str, list[RecordedSpan]] = OrderedDict()
        self._count = 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Kept is what has ended."""

    def on_end(self, span: ReadableSpan) -> None:
        with self._lock:
            known = len(self._traces.get(f"{_known(span.context).trace_id:032x}", ()))
        if known >= self._most_of_a_trace:
            return  # before anything is spent on it: a large batch is one trace
        recorded = recorded_span(span)
        with self._lock:
            if _reads(recorded):
                self._forget(recorded.trace_id)
            else:
                self._keep(recorded)

    def spans(self, trace_id: str) -> list[RecordedSpan]:
        with self._lock:
            return list(self._traces.get(trace_id, ()))

    def shutdown(self) -> None:
        """They can still be read."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def _keep(self, span: RecordedSpan) -> None:
        kept = self._traces.setdefault(span.trace_id, [])
        if len(kept) < self._most_of_a_trace:  # others may have come meanwhile
            kept.append(span)
            self._count += 1
        while len(self._traces) > self._most_traces or self._count > self._most_spans:
            self._forget(next(iter(self._traces)))

    def _forget(self, trace_id: str) -> None:
        self._count -= len(self._traces.pop(trace_id, ()))


def recorded_span(span: ReadableSpan) -> RecordedSpan:
    context, parent = _known(span.context), span.parent
    return RecordedSpan(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=None if parent is None else f"{parent.span_id:016x}",
        service=str(span.resource.attributes.get("service.name", "")),
        name=_text(span.name),
        kind=span.kind.name.lower(),
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status=span.status.status_code.name.lower(),
        status_message=_text(span.status.description) if span.status.description else None,
        attributes=_plain(span.attributes or {}),
        links=tuple(_link(link) for link in span.links),
        events=tuple(_event(event) for event in span.events[-MAX_EVENTS:]),
    )


def _reads(span: RecordedSpan) -> bool:
    """It is a whole request of somebody whose own trace is not followed, and nothing came of it."""
    is_request = span.kind == SpanKind.SERVER.name.lower() and span.parent_id is None
    return is_request and span.attributes.get("http.request.method") in READS


def _link(link: Link) -> RecordedLink:
    return RecordedLink(f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}")


def _event(event: Event) -> RecordedEvent:
    return RecordedEvent(_text(event.name), event.timestamp, _plain(event.attributes or {}))


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {_text(name): _value(value) for name, value in attributes.items()}


def _value(value: Any) -> Any:
    match value:
        case str():
            return _text(value)
        case bool() | float():
            return value
        case int() if -(2**63) <= value < 2**63:
            return value
        case list() | tuple():
            return [_value(one) for one in value]
    return _text(str(value))


def _text(text: str) -> str:
    """Bounded, and such as can be sent."""
    return clean_text(text[:MAX_TEXT])


def _known(context: SpanContext | None) -> SpanContext:
    if context is None:
        raise ValueError("a span that has ended has a context")
    return context
