"""How the context of a trace travels: as the text of a `traceparent` (W3C Trace Context)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()


def traceparent(span: Span) -> str | None:
    """What goes with whatever `span` brings about; None where it is not followed."""
    context = span.get_span_context()
    if not context.trace_flags.sampled or not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def current_traceparent() -> str | None:
    """That of the span that this thread or coroutine is in."""
    return traceparent(trace.get_current_span())


def is_sampled() -> bool:
    """Whether this thread or coroutine is in a span that is."""
    return current_traceparent() is not None


@contextmanager
def use_remote_parent(traceparent: str | None) -> Iterator[None]:
    """A context in which this thread is in the span that `traceparent` names, if that is of its own trace."""
    context, own = parse_traceparent(traceparent), trace.get_current_span().get_span_context()
    if context is None or context.trace_id != own.trace_id:
        yield
    else:
        with trace.use_span(NonRecordingSpan(context), record_exception=False, set_status_on_exception=False):
            yield


def trace_id_of(text: str | None) -> str | None:
    """The trace of a traceparent of ours, in hexadecimal digits."""
    return None if text is None else text[3:35]


def parse_traceparent(text: str | None) -> SpanContext | None:
    """None for what is no traceparent."""
    if not text:
        return None
    context = trace.get_current_span(_propagator.extract({"traceparent": text}, Context())).get_span_context()
    return context if context.is_valid else None


def remote_context(trace_id: str, span_id: str) -> SpanContext:
    """A span that is followed elsewhere; ids as hexadecimal digits."""
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=flags)


def child_context(parent: SpanContext | None) -> Context:
    """The context in which a new span is a child of `parent`; None: in which it begins a trace."""
    return Context() if parent is None else trace.set_span_in_context(NonRecordingSpan(parent), Context())


def links_to(*contexts: SpanContext | None) -> list[Link]:
    return [Link(context) for context in contexts if context is not None]
