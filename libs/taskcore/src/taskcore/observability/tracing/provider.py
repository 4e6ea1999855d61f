"""A process's traces: what makes its spans, and sends them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Self
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.trace import NoOpTracer, Tracer

from taskcore.observability.telemetry import SPANS_DROPPED
from taskcore.observability.tracing.bounded_processor import BoundedSpanProcessor
from taskcore.observability.tracing.sampler import RateLimitedRootSampler
from taskcore.observability.tracing.span_codec import MAX_TEXT, decode_spans
from taskcore.settings import Settings, TracingSettings

OTLP_PATH = "/v1/traces"
#: What the last spans of a process get to be sent in.
FLUSH_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Tracing:
    """`tracer` makes spans, of which nothing comes where `is_on` is false."""

    tracer: Tracer
    provider: TracerProvider | None = None
    processors: Sequence[SpanProcessor] = ()
    root_sampler: RateLimitedRootSampler | None = None

    @classmethod
    def start(cls, settings: Settings, service: str, extra_processors: Sequence[SpanProcessor] = ()) -> Self:
        """Of a process that is `service`. Off without an endpoint, unless others want its spans, too (`also`)."""
        processors = [*extra_processors]
        if settings.tracing.endpoint is not None:
            processors.append(BoundedSpanProcessor(_exporter(settings.tracing), settings.tracing.queue_size))
        if not processors:
            return cls(NoOpTracer())
        roots = RateLimitedRootSampler(settings.tracing.sample_ratio, settings.tracing.max_traces_per_s)
        provider = TracerProvider(
            sampler=ParentBased(roots),
            resource=_resource(service),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_attribute_length=MAX_TEXT),
        )
        for processor in processors:
            provider.add_span_processor(processor)
        return cls(provider.get_tracer("taskcore", version("taskcore")), provider, processors, roots)

    @property
    def is_enabled(self) -> bool:
        return self.provider is not None

    def sample_root(self, name: str) -> Context | None:
        """The context of a span `name` that begins a trace, if that is to be followed: ask here where most are not."""
        return None if self.root_sampler is None else self.root_sampler.sample_root(name)

    def set_global(self) -> Self:
        """Let plugins, and the libraries that they use, find it as OpenTelemetry's own. Once a process."""
        if self.provider is not None:
            trace.set_tracer_provider(self.provider)
        return self

    def export_encoded(self, spans: bytes, trace_id: str, dropped: int) -> None:
        """Send what `carried.pack` made elsewhere as this process's own. Raises `ValueError` for anything else."""
        if self.provider is None:
            return
        SPANS_DROPPED.labels("queue_full").inc(max(0, dropped))
        for span in decode_spans(spans, trace_id, self.provider.resource):
            for processor in self.processors:
                processor.on_end(span)

    def stop(self) -> None:
        """Send what is left, or not: a process that is to end waits `LAST_MOMENT_S` at most."""
        if self.provider is not None:
            ending = threading.Thread(target=self.provider.shutdown, name="traces", daemon=True)
            ending.start()
            ending.join(FLUSH_TIMEOUT_S)


NO_TRACING = Tracing(NoOpTracer())


def _exporter(settings: TracingSettings) -> OTLPSpanExporter:
    return OTLPSpanExporter(
        endpoint=_with_path(settings.endpoint or ""),
        headers={name: value.get_secret_value() for name, value in settings.headers.items()},
        timeout=settings.timeout_s,
    )


def _with_path(endpoint: str) -> str:
    return endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + OTLP_PATH


def _resource(service: str) -> Resource:
    """What `OTEL_RESOURCE_ATTRIBUTES` says is part of it."""
    return Resource.create(
        {
            "service.namespace": "taskcore",
            "service.name": service,
            "service.version": version("taskcore"),
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        }
    )
