"""Spans of HTTP requests."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from taskcore.observability.tracing.http_spans import request_span
from taskcore.observability.tracing.provider import Tracing


def test_url_with_an_invalid_port_has_a_span_without_port(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    with (
        tracing.tracer.start_as_current_span("run", Context()),
        request_span(tracing.tracer, "GET", "http://here:99999/"),
    ):
        pass

    request, _ = exporter.get_finished_spans()
    attributes = request.attributes or {}
    assert (attributes["server.address"], "server.port" in attributes) == ("here", False)
