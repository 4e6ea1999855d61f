"""Which traces are followed, how contexts travel, what an attempt's spans hang on, and spans that are too many."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, ParentBased
from opentelemetry.trace import Link

from taskcore.domain import outcomes
from taskcore.domain.outcomes import AttemptResult, Reason
from taskcore.observability.metrics import SPANS_DROPPED
from taskcore.observability.tracing.attempt_spans import AttemptTrace, ClaimInfo
from taskcore.observability.tracing.bounded_processor import BATCH_SIZE, BoundedSpanProcessor
from taskcore.observability.tracing.http_spans import request_span
from taskcore.observability.tracing.propagation import (
    child_context,
    current_traceparent,
    parse_traceparent,
    trace_id_of,
    traceparent,
)
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskcore.observability.tracing.sampler import MAX_NAMES, RateLimitedRootSampler
from taskcore.observability.tracing.span_codec import MAX_TEXT

SUBMITTED = "00-" + "a" * 32 + "-" + "1" * 16 + "-01"
SENT = "00-" + "a" * 32 + "-" + "2" * 16 + "-01"
SENT_LATER = "00-" + "b" * 32 + "-" + "3" * 16 + "-01"
CLAIMED_AT = datetime(2026, 11, 21, 12, 0, 0, 250_001, tzinfo=UTC)


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def attempt_trace(tracing: Tracing, attempt: int, sent: str | None, queued_s: float | None = 1.25) -> AttemptTrace:
    return AttemptTrace(tracing, ClaimInfo(7, "noop", "default", attempt, SUBMITTED, sent, 1_000, CLAIMED_AT, queued_s))


def decisions(roots: RateLimitedRootSampler, name: str, count: int, links: Sequence[Link] = ()) -> int:
    """How many of `count` roots are followed."""
    results = [roots.should_sample(None, number, name, links=links) for number in range(count)]
    return sum(result.decision is Decision.RECORD_AND_SAMPLE for result in results)


def test_of_each_name_no_more_are_followed_than_are_allowed() -> None:
    roots = RateLimitedRootSampler(ratio=1.0, max_per_s=1e-6)

    assert [decisions(roots, name, 50) for name in ("POST", "POST", "GET")] == [1, 0, 1]


def test_who_asks_before_a_trace_begins_is_not_counted_twice() -> None:
    provider = TracerProvider(sampler=ParentBased(roots := RateLimitedRootSampler(ratio=1.0, max_per_s=2)))

    contexts = [roots.sample_root("POST") for _ in range(5)]

    assert [context is not None for context in contexts] == [True, True, False, False, False]
    spans = [provider.get_tracer("tests").start_span("POST", context) for context in contexts[:2]]
    assert all(span.is_recording() for span in spans)


def test_a_share_of_nothing_is_nothing_but_what_is_linked_goes_on() -> None:
    roots, before = RateLimitedRootSampler(ratio=0.0, max_per_s=1_000), parse_traceparent(SUBMITTED)
    assert before is not None

    assert decisions(roots, "POST", 50) == 0
    assert decisions(roots, "relay default", 50, [Link(before)]) == 50


@pytest.mark.parametrize(("flags", "is_followed"), [("01", True), ("00", False)])
def test_a_child_is_followed_as_its_parent_is(flags: str, is_followed: bool) -> None:
    provider = TracerProvider(sampler=ParentBased(RateLimitedRootSampler(ratio=0.5, max_per_s=1e-6)))
    parent = parse_traceparent(SUBMITTED[:-2] + flags)

    spans = [provider.get_tracer("tests").start_span("POST", child_context(parent)) for _ in range(20)]

    assert {span.is_recording() for span in spans} == {is_followed}


def test_a_context_travels_as_text(tracing: Tracing) -> None:
    with tracing.tracer.start_as_current_span("here") as span:
        text = current_traceparent()

    found = parse_traceparent(text)
    assert found is not None
    assert (found.trace_id, found.span_id) == (span.get_span_context().trace_id, span.get_span_context().span_id)
    assert current_traceparent() is None


@pytest.mark.parametrize("text", [None, "", "00", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "\0" * 55, "é" * 55])
def test_what_is_no_context_is_none(text: str | None) -> None:
    assert parse_traceparent(text) is None


def test_nothing_is_followed_where_traces_are_off() -> None:
    with NO_TRACING.tracer.start_as_current_span("here") as span:
        assert (current_traceparent(), traceparent(span), NO_TRACING.is_enabled) == (None, None, False)


@pytest.mark.parametrize(
    ("attempt", "sent", "parent", "links"),
    [
        (1, SENT, SENT, ()),
        (1, None, SUBMITTED, ()),
        (1, SENT_LATER, SUBMITTED, ()),
        (2, SENT_LATER, SENT_LATER, (SUBMITTED,)),
        (2, None, None, (SUBMITTED,)),
        (2, SENT, None, (SUBMITTED,)),  # a message of the attempt before: it must not be nested there
    ],
)
def test_an_attempt_hangs_on_its_own_message_only(
    tracing: Tracing,
    exporter: InMemorySpanExporter,
    attempt: int,
    sent: str | None,
    parent: str | None,
    links: tuple[str, ...],
) -> None:
    attempt_trace(tracing, attempt, sent).settled(2_000, outcomes.succeeded(None), was_held=True)

    process = by_name(exporter)["process default"]
    assert process.parent == parse_traceparent(parent)
    assert [link.context for link in process.links] == [parse_traceparent(text) for text in links]


def test_the_wait_ends_with_the_claim_by_the_clock_of_the_database(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    attempt_trace(tracing, 1, SENT)
    attempt_trace(tracing, 1, SENT, queued_s=None)  # its claim was found again: nobody knows how long it waited

    (wait,) = [span for span in exporter.get_finished_spans() if span.name == "wait in default"]
    assert (_time(wait.start_time), _time(wait.end_time)) == (CLAIMED_AT - timedelta(seconds=1.25), CLAIMED_AT)


def _time(ns: int | None) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=(ns or 0) // 1_000)


@pytest.mark.parametrize(
    ("verdict", "was_held", "outcome", "is_error"),
    [
        (outcomes.succeeded(None), True, "succeeded", False),
        (outcomes.released(Reason.WORKER_STOPPED), True, "released", False),
        (outcomes.failed("went wrong\nfor long", Reason.NON_RETRYABLE), True, "failed", True),
        (outcomes.succeeded(None), False, "refused", False),
    ],
)
def test_what_came_of_an_attempt_is_on_its_span(
    tracing: Tracing,
    exporter: InMemorySpanExporter,
    verdict: AttemptResult,
    was_held: bool,
    outcome: str,
    is_error: bool,
) -> None:
    followed = attempt_trace(tracing, 1, SENT)

    assert followed.run(lambda: verdict) is verdict
    followed.settled(2_000, verdict, was_held=was_held)

    spans = by_name(exporter)
    assert spans["process default"].attributes is not None
    assert spans["process default"].attributes["taskcore.attempt.outcome"] == outcome
    for name in ("process default", "run noop"):
        assert (not spans[name].status.is_ok, spans[name].status.description) == (
            is_error,
            "went wrong" if is_error else None,
        )


def test_what_runs_is_inside_of_the_run_and_afterwards_nothing_is(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    def perform() -> None:
        tracing.tracer.start_span("a call").end()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt_trace(tracing, 1, SENT).run(perform)

    spans = by_name(exporter)
    run = spans["run noop"].context
    assert run is not None
    assert spans["a call"].parent is not None
    assert spans["a call"].parent.span_id == run.span_id
    assert trace.get_current_span() is trace.INVALID_SPAN


class Stuck(SpanExporter):
    """Takes one batch, and is then as long about it as it is told."""

    def __init__(self) -> None:
        self.taken = threading.Event()
        self.let_go = threading.Event()
        self.count = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.count += len(spans)
        self.taken.set()
        self.let_go.wait()
        return SpanExportResult.FAILURE


def test_spans_beyond_the_bound_are_dropped_and_all_are_accounted_for() -> None:
    before = {why: SPANS_DROPPED.labels(why)._value.get() for why in ("queue_full", "not_exported")}
    stuck = Stuck()
    processor = BoundedSpanProcessor(stuck, limit=BATCH_SIZE)
    provider = TracerProvider()
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("tests")

    for _ in range(BATCH_SIZE):
        tracer.start_span("taken", Context()).end()
    assert stuck.taken.wait(60)
    for _ in range(3 * BATCH_SIZE):
        tracer.start_span("too many", Context()).end()
    dropped = SPANS_DROPPED.labels("queue_full")._value.get() - before["queue_full"]
    stuck.let_go.set()
    provider.shutdown()

    assert dropped >= 2 * BATCH_SIZE
    assert stuck.count + dropped == 4 * BATCH_SIZE
    assert SPANS_DROPPED.labels("not_exported")._value.get() - before["not_exported"] == stuck.count


def test_names_that_plugins_invent_are_not_all_remembered() -> None:
    roots = RateLimitedRootSampler(ratio=1.0, max_per_s=1e-6)

    followed = sum(decisions(roots, f"call {number}", 1) for number in range(3 * MAX_NAMES))

    assert MAX_NAMES <= followed <= MAX_NAMES + 1


def test_what_is_no_context_is_still_a_text() -> None:
    assert [trace_id_of(text) for text in (None, "", "nonsense", SENT)] == [None, "", "sense", "a" * 32]


def test_values_that_are_too_long_are_cut_off(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    tracing.tracer.start_span("call", Context(), attributes={"text": "x" * 100_000}).end()

    assert by_name(exporter)["call"].attributes == {"text": "x" * MAX_TEXT}


def test_a_url_without_a_port_that_can_be_is_the_affair_of_whoever_asks(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    with (
        tracing.tracer.start_as_current_span("run", Context()),
        request_span(tracing.tracer, "GET", "http://here:99999/"),
    ):
        pass

    attributes = by_name(exporter)["GET"].attributes or {}
    assert (attributes["server.address"], "server.port" in attributes) == ("here", False)
