"""The spans of calls that a plugin makes, as children of its thread's current span if that is sampled."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from random import getrandbits
from types import TracebackType

from opentelemetry import trace
from opentelemetry.context import Context, attach
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, Tracer

from taskcore.observability.tracing.conventions import Attributes
from taskcore.observability.tracing.propagation import is_sampled

ClientSpan = AbstractContextManager[Span]

NO_TRACER: Tracer = trace.NoOpTracer()
NO_SPAN: ClientSpan = nullcontext(trace.INVALID_SPAN)

#: Shared by all untraced attempts of this process: most attempts are untraced, and nothing reads the ids.
_UNSAMPLED = trace.set_span_in_context(
    NonRecordingSpan(SpanContext(getrandbits(128), getrandbits(64), is_remote=False)), Context()
)

ErrorName = Callable[[BaseException], str]


def class_name(exc: BaseException) -> str:
    return type(exc).__name__


def client_span(tracer: Tracer, name: str, attributes: Attributes, error_type: ErrorName = class_name) -> ClientSpan:
    """Return a context manager for the span of one call. `error_type` names an exception that the call raises.

    The span does not get the exception's message, which may contain values.
    """
    if not is_sampled():
        return NO_SPAN
    return _ClientSpan(tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes), error_type)


def enter_untraced() -> None:
    """From now on record no span in this context, not even a library's."""
    attach(_UNSAMPLED)


def set_error(span: Span, error_type: str) -> None:
    span.set_attribute(ERROR_TYPE, error_type)
    span.set_status(Status(StatusCode.ERROR))


class _ClientSpan:
    """Does without `contextlib` and never becomes the thread's current span.

    An interrupt may hit anywhere in it, and then only this span is lost.
    """

    __slots__ = ("_error_type", "_span")

    def __init__(self, span: Span, error_type: ErrorName) -> None:
        self._span = span
        self._error_type = error_type

    def __enter__(self) -> Span:
        return self._span

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        if exc is not None:
            set_error(self._span, self._error_type(exc))
        self._span.end()
