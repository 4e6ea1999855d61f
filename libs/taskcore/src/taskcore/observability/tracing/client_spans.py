"""The spans of what a plugin calls, within the one that its thread is in. Where that is not followed there are none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from random import getrandbits
from types import TracebackType
from typing import TypeVar

from opentelemetry.context import Context, attach
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    NoOpTracer,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    set_span_in_context,
)

from taskcore.observability.tracing.conventions import Attributes
from taskcore.observability.tracing.propagation import is_sampled

ClientSpan = AbstractContextManager[Span]

#: For whatever is not followed.
NO_TRACER: Tracer = NoOpTracer()
NO_SPAN: ClientSpan = nullcontext(INVALID_SPAN)

#: One for all of this process's tasks, since nearly all come by here. What is not sampled is told to nobody.
_UNSAMPLED = set_span_in_context(
    NonRecordingSpan(SpanContext(getrandbits(128), getrandbits(64), is_remote=False)), Context()
)

T = TypeVar("T")
ErrorName = Callable[[BaseException], str]


def class_name(exc: BaseException) -> str:
    return type(exc).__name__


def client_span(tracer: Tracer, name: str, attributes: Attributes, error_type: ErrorName = class_name) -> ClientSpan:
    """A context: one call from its beginning to its end. `error_type` names what it raises, in few words.

    Messages of errors stay out of it: they may show values.
    """
    if not is_sampled():
        return NO_SPAN
    return _ClientSpan(tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes), error_type)


def run_untraced(perform: Callable[[], T]) -> T:
    """Nothing comes of any span in it, not of a library's either. The thread's context stays so."""
    attach(_UNSAMPLED)
    return perform()


def set_error(span: Span, error_type: str) -> None:
    span.set_attribute(ERROR_TYPE, error_type)
    span.set_status(Status(StatusCode.ERROR))


class _ClientSpan:
    """Made without `contextlib`, and never the thread's current span: an interrupt may hit anywhere in it.

    Then that span is lost, and nothing else.
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
