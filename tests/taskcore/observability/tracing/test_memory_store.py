"""Spans in memory: the newest traces, within limits."""

from __future__ import annotations

import pytest
from opentelemetry.trace import Link, NonRecordingSpan, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from taskcore.domain.tasks import SpanIds
from taskcore.observability.tracing.memory_store import MAX_TEXT, InMemorySpanStore
from taskcore.observability.tracing.propagation import remote_context
from taskcore.observability.tracing.provider import Tracing
from taskcore.settings import Settings


def tracer_of(store: InMemorySpanStore) -> Tracer:
    return Tracing.start(Settings(), "tests", extra_processors=[store]).tracer


def trace(tracer: Tracer, children: int = 0) -> str:
    """End a root span with `children` spans below it. Return the trace's id."""
    with tracer.start_as_current_span("root", record_exception=False) as root:
        for number in range(children):
            tracer.start_span(f"child {number}").end()
    return f"{root.get_span_context().trace_id:032x}"


def test_all_parts_of_a_span_are_kept() -> None:
    store = InMemorySpanStore()
    tracer = tracer_of(store)
    before = remote_context("a" * 32, "b" * 16)
    span = tracer.start_span(
        "call", None, SpanKind.CLIENT, {"text": "x" * 9_999, "list": ["a\ud800", "b"], "n": 1}, [Link(before)], 1_000
    )
    span.add_event("tried", {"n": 2}, timestamp=1_500)
    span.set_status(Status(StatusCode.ERROR, "no luck"))
    span.end(2_000)

    (kept,) = store.spans(f"{span.get_span_context().trace_id:032x}")

    assert (kept.service, kept.name, kept.kind, kept.parent_id) == ("tests", "call", "client", None)
    assert (kept.start_ns, kept.end_ns, kept.status, kept.status_message) == (1_000, 2_000, "error", "no luck")
    assert len(kept.attributes["text"]) == MAX_TEXT
    assert (kept.attributes["n"], kept.attributes["list"]) == (1, ["a?", "b"])
    assert kept.links == (SpanIds("a" * 32, "b" * 16),)
    assert [(event.name, event.time_ns, event.attributes) for event in kept.events] == [("tried", 1_500, {"n": 2})]


def test_oldest_traces_make_room_for_new_ones() -> None:
    store = InMemorySpanStore(max_traces=2)
    tracer = tracer_of(store)

    first, second, third = (trace(tracer) for _ in range(3))

    assert [len(store.spans(one)) for one in (first, second, third)] == [0, 1, 1]


def test_long_trace_is_cut_off() -> None:
    store = InMemorySpanStore(max_spans=12, max_spans_per_trace=5)
    tracer = tracer_of(store)

    first, second, third = (trace(tracer, children=9) for _ in range(3))

    assert [len(store.spans(one)) for one in (first, second, third)] == [0, 5, 5]


@pytest.mark.parametrize(("method", "parent", "count"), [("GET", None, 0), ("GET", "f" * 16, 2), ("POST", None, 2)])
def test_read_requests_are_not_kept(method: str, parent: str | None, count: int) -> None:
    store = InMemorySpanStore()
    tracer = tracer_of(store)
    context = None if parent is None else set_span_in_context(NonRecordingSpan(remote_context("e" * 32, parent)))

    with tracer.start_as_current_span("x", context, SpanKind.SERVER, {"http.request.method": method}) as request:
        tracer.start_span("SELECT task").end()

    assert len(store.spans(f"{request.get_span_context().trace_id:032x}")) == count
