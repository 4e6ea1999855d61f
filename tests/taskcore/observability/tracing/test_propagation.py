"""Trace contexts as text."""

from __future__ import annotations

import pytest

from taskcore.observability.tracing.propagation import (
    current_traceparent,
    parse_traceparent,
    trace_id_of,
)
from taskcore.observability.tracing.provider import Tracing

TRACEPARENT = "00-" + "a" * 32 + "-" + "2" * 16 + "-01"


def test_context_survives_as_text(tracing: Tracing) -> None:
    with tracing.tracer.start_as_current_span("here") as span:
        text = current_traceparent()

    found = parse_traceparent(text)
    assert found is not None
    assert (found.trace_id, found.span_id) == (span.get_span_context().trace_id, span.get_span_context().span_id)
    assert current_traceparent() is None


@pytest.mark.parametrize("text", [None, "", "00", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "\0" * 55, "é" * 55])
def test_malformed_traceparent_is_no_context(text: str | None) -> None:
    assert parse_traceparent(text) is None


def test_trace_id_is_cut_out_of_any_text() -> None:
    assert [trace_id_of(text) for text in (None, "", "nonsense", TRACEPARENT)] == [None, "", "sense", "a" * 32]
