"""The tracing of a process: off, on, and the spans of other processes."""

from __future__ import annotations

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from taskcore.observability.tracing import span_codec
from taskcore.observability.tracing.propagation import (
    current_traceparent,
    traceparent,
)
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskcore.observability.tracing.span_codec import MAX_TEXT


def test_nothing_is_sampled_when_tracing_is_off() -> None:
    with NO_TRACING.tracer.start_as_current_span("here") as span:
        assert (current_traceparent(), traceparent(span), NO_TRACING.is_enabled) == (None, None, False)


def test_long_values_are_cut_off(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    tracing.tracer.start_span("call", Context(), attributes={"text": "x" * 100_000}).end()

    (call,) = exporter.get_finished_spans()
    assert call.attributes == {"text": "x" * MAX_TEXT}


@pytest.mark.parametrize("data", [b"", b"[[1]]", b'[["n",["' + b"a" * 32 + b'","x"],null,0,0,0,{},[],[],0,null,""]]'])
def test_malformed_spans_are_refused(tracing: Tracing, data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        tracing.export_encoded(data, "a" * 32, 0)


def test_spans_of_another_trace_are_ignored(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    with tracing.tracer.start_as_current_span("here"):
        pass
    encoded, _ = span_codec.encode_spans(exporter.get_finished_spans())
    exporter.clear()

    tracing.export_encoded(encoded, "a" * 32, 0)

    assert exporter.get_finished_spans() == ()
