"""The spans of a task process, which its executor exports. Importing this module imports the OpenTelemetry SDK.

Without threads or connections. A failure here never changes the result of the attempt.
"""

from __future__ import annotations

import structlog
from msgspec import Raw
from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import Tracer

from taskcore.execution.isolation import messages
from taskcore.observability.tracing import span_codec
from taskcore.observability.tracing.propagation import child_context, parse_traceparent

MAX_SPANS = 1_000
SPAN_LIMITS = SpanLimits(max_attributes=64, max_events=32, max_links=32, max_attribute_length=span_codec.MAX_TEXT)

log = structlog.stdlib.get_logger(__name__)


class ChildSpanRecorder:
    """Make the span that `traceparent` names the current one of this thread, and record the spans below it."""

    def __init__(self, traceparent: str) -> None:
        self._buffer = _SpanBuffer()
        provider = TracerProvider(
            ParentBased(ALWAYS_OFF), Resource.get_empty(), shutdown_on_exit=False, span_limits=SPAN_LIMITS
        )
        provider.add_span_processor(self._buffer)
        trace.set_tracer_provider(provider)
        context.attach(child_context(parse_traceparent(traceparent)))
        self.tracer: Tracer = provider.get_tracer("taskcore.plugin")

    def frames(self) -> list[bytes]:
        """Return the frames with the spans that have ended, or none if they cannot be encoded."""
        try:
            packed, left_out = span_codec.encode_spans(self._buffer.spans)
            return [messages.encode(messages.SpansRecorded(Raw(packed), self._buffer.dropped + left_out))]
        except Exception:  # the executor waits for the result only
            log.exception("traces.not_sent")
            return []


class _SpanBuffer(SpanProcessor):
    """Keeps the first `MAX_SPANS` and counts the rest."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.dropped = 0

    def on_end(self, span: ReadableSpan) -> None:
        """Called from any thread. Takes no lock, which an interrupt could leave locked."""
        if len(self.spans) < MAX_SPANS:
            self.spans.append(span)
        else:
            self.dropped += 1
