"""Trace contexts as text: `traceparent` of W3C Trace Context."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from taskcore.domain.tasks import SpanIds

_propagator = TraceContextTextMapPropagator()


def traceparent(span: Span) -> str | None:
    """Return the context for work that `span` causes, or `None` if it is not sampled."""
    context = span.get_span_context()
    if not context.trace_flags.sampled or not context.is_valid:
        return None
    return "00-{}-{}-01".format(*ids_of(context))


def current_traceparent() -> str | None:
    """Return the `traceparent` of this thread's or coroutine's current span."""
    return traceparent(trace.get_current_span())


def is_sampled() -> bool:
    """Whether this thread's or coroutine's current span is sampled."""
    return current_traceparent() is not None


@contextmanager
def use_remote_parent(traceparent: str | None) -> Iterator[None]:
    """Make the span that `traceparent` names the current one, if it belongs to the current trace."""
    context, current = parse_traceparent(traceparent), trace.get_current_span().get_span_context()
    if context is None or context.trace_id != current.trace_id:
        yield
    else:
        with trace.use_span(NonRecordingSpan(context), record_exception=False, set_status_on_exception=False):
            yield


def trace_id_of(text: str | None) -> str | None:
    """Return the trace id in a `traceparent` that we wrote, in hexadecimal. The text is not checked."""
    return None if text is None else text[3:35]


def parse_traceparent(text: str | None) -> SpanContext | None:
    """Return `None` for text that is not a valid `traceparent`."""
    if not text:
        return None
    context = trace.get_current_span(_propagator.extract({"traceparent": text}, Context())).get_span_context()
    return context if context.is_valid else None


def ids_of(context: SpanContext) -> SpanIds:
    return SpanIds(trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id))


def remote_context(trace_id: str, span_id: str) -> SpanContext:
    """Return the context of a sampled span of another process, from its ids in hexadecimal."""
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=flags)


def child_context(parent: SpanContext | None) -> Context:
    """Return the context in which a new span is a child of `parent`, or a root if that is `None`."""
    return Context() if parent is None else trace.set_span_in_context(NonRecordingSpan(parent), Context())


def links_to(*contexts: SpanContext | None) -> list[Link]:
    return [Link(context) for context in contexts if context is not None]
