"""The tracing of one process: its tracer, and what samples and exports its spans."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Self
from urllib.parse import urlsplit

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.trace import NoOpTracer, SpanContext, Tracer

from taskcore.observability.metrics import SPANS_DROPPED
from taskcore.observability.tracing.bounded_processor import BoundedSpanProcessor
from taskcore.observability.tracing.conventions import NAMESPACE
from taskcore.observability.tracing.propagation import child_context
from taskcore.observability.tracing.sampler import RateLimitedRootSampler
from taskcore.observability.tracing.span_codec import MAX_TEXT, decode_spans
from taskcore.settings import Settings, TracingSettings

OTLP_PATH = "/v1/traces"
#: How long a process that stops waits for its last spans to be exported.
FLUSH_TIMEOUT_S = 2.0

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tracing:
    """Unless `is_enabled`, the spans that `tracer` makes record nothing."""

    tracer: Tracer
    provider: TracerProvider | None = None
    processors: Sequence[SpanProcessor] = ()
    root_sampler: RateLimitedRootSampler | None = None

    @classmethod
    def start(cls, settings: Settings, service: str, extra_processors: Sequence[SpanProcessor] = ()) -> Self:
        """Set up tracing for `service`. Without an endpoint and `extra_processors` it stays disabled."""
        processors = [*extra_processors]
        if settings.tracing.endpoint is not None:
            processors.append(BoundedSpanProcessor(_exporter(settings.tracing), settings.tracing.queue_size))
        if not processors:
            return cls(NoOpTracer())
        root_sampler = RateLimitedRootSampler(settings.tracing.sample_ratio, settings.tracing.max_traces_per_s)
        provider = TracerProvider(
            sampler=ParentBased(root_sampler),
            resource=_resource(service),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_attribute_length=MAX_TEXT),
        )
        for processor in processors:
            provider.add_span_processor(processor)
        return cls(provider.get_tracer("taskcore", version("taskcore")), provider, processors, root_sampler)

    @property
    def is_enabled(self) -> bool:
        return self.provider is not None

    def sample_root(self, name: str) -> Context | None:
        """Return the context for a root span `name` if it is sampled. Cheaper than a span where most roots are not."""
        return None if self.root_sampler is None else self.root_sampler.sample_root(name)

    def sample_remote(self, name: str, parent: SpanContext) -> Context | None:
        """Return the context for a span `name` below a caller's span, if that is sampled and within the limit."""
        if self.root_sampler is None or not parent.trace_flags.sampled or not self.root_sampler.take(name):
            return None
        return child_context(parent)

    def set_global(self) -> Self:
        """Make this OpenTelemetry's global provider, which plugins and their libraries use. Once a process."""
        if self.provider is not None:
            trace.set_tracer_provider(self.provider)
        return self

    def export_encoded(self, spans: bytes, trace_id: str, dropped: int) -> None:
        """Export spans that `encode_spans` encoded in another process as this process's own. Raises `ValueError`."""
        if self.provider is None:
            return
        SPANS_DROPPED.labels("queue_full").inc(max(0, dropped))
        for span in decode_spans(spans, trace_id, self.provider.resource):
            for processor in self.processors:
                processor.on_end(span)

    def stop(self) -> None:
        """Export the remaining spans, but wait no longer than `FLUSH_TIMEOUT_S`."""
        if self.provider is not None:
            ending = threading.Thread(target=self.provider.shutdown, name="traces", daemon=True)
            ending.start()
            ending.join(FLUSH_TIMEOUT_S)


NO_TRACING = Tracing(NoOpTracer())


@contextmanager
def suppress_errors() -> Iterator[None]:
    """Log what the body raises: a span processor of a plugin may raise, and tracing must not break the work."""
    try:
        yield
    except Exception:
        log.exception("spans.failed")


def _exporter(settings: TracingSettings) -> SpanExporter:
    # Takes a tenth of the time in which an executor starts, and most installations export nothing.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    endpoint = settings.endpoint or ""
    has_path = urlsplit(endpoint).path.strip("/")
    return OTLPSpanExporter(
        endpoint=endpoint if has_path else endpoint.rstrip("/") + OTLP_PATH,
        headers={name: value.get_secret_value() for name, value in settings.headers.items()},
        timeout=settings.timeout_s,
    )


def _resource(service: str) -> Resource:
    """Return the resource of this process, with the attributes in `OTEL_RESOURCE_ATTRIBUTES`."""
    return Resource.create(
        {
            "service.namespace": NAMESPACE,
            "service.name": service,
            "service.version": version("taskcore"),
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        }
    )
