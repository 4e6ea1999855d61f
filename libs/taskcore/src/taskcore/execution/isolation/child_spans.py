"""The spans of a task process: kept until its end, and then told to its executor. It imports OpenTelemetry's SDK.

Without threads or connections; whatever is wrong with them, the attempt's end is not.
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
    """From now on this thread, and what is made with its context, is inside of the span that `traceparent` names."""

    def __init__(self, traceparent: str) -> None:
        self._kept = _SpanBuffer()
        provider = TracerProvider(
            ParentBased(ALWAYS_OFF), Resource.get_empty(), shutdown_on_exit=False, span_limits=SPAN_LIMITS
        )
        provider.add_span_processor(self._kept)
        trace.set_tracer_provider(provider)
        context.attach(child_context(parse_traceparent(traceparent)))
        self.tracer: Tracer = provider.get_tracer("taskcore.plugin")

    def frames(self) -> list[bytes]:
        """The frames that tell of what has ended; none where that cannot be told."""
        try:
            packed, left_out = span_codec.encode_spans(self._kept.spans)
            return [messages.encode(messages.SpansRecorded(Raw(packed), self._kept.dropped + left_out))]
        except Exception:  # its executor waits for the end of the attempt, and for nothing else
            log.exception("traces.not_sent")
            return []


class _SpanBuffer(SpanProcessor):
    """The first `MAX_SPANS`; the rest is counted."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.dropped = 0

    def on_end(self, span: ReadableSpan) -> None:
        """From any thread. An interrupt may hit, too: there is no lock to be left behind."""
        if len(self.spans) < MAX_SPANS:
            self.spans.append(span)
        else:
            self.dropped += 1
