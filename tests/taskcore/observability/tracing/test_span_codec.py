"""Spans of task processes, encoded for their executor."""

from __future__ import annotations

from harness.span_recorder import SpanRecorder
from taskcore.observability.tracing import span_codec


def test_spans_that_do_not_fit_are_left_out_and_counted() -> None:
    traced = SpanRecorder()
    for _ in range(500):
        traced.tracer.start_span("large", attributes={"text": "x" * span_codec.MAX_TEXT}).end()

    packed, left_out = span_codec.encode_spans(traced.spans)

    assert len(packed) <= span_codec.MAX_BYTES + 2
    assert 0 < left_out < 500
