"""Sampling, propagation, the parents of an attempt's spans, and the limits of export."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from uuid import UUID

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
from taskcore.domain.tasks import Claim, ClaimedTask, FinishedAttempt, Lease
from taskcore.observability.metrics import SPANS_DROPPED
from taskcore.observability.tracing.attempt_spans import AttemptTracer
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


class Attempt:
    """An attempt that is claimed, and observed by a tracer only."""

    def __init__(self, tracing: Tracing, number: int, sent: str | None, queued_s: float | None = 1.25) -> None:
        self._tracer = AttemptTracer(tracing)
        self._task = ClaimedTask(Lease(7, number, UUID(int=1)), "t", "noop", "default", {}, 0, 4, 0.0)
        self._tracer.claimed([Claim(self._task, queued_s, CLAIMED_AT, SUBMITTED, sent)], asked_ns=1_000)

    def run(self, plugin: Callable[[], AttemptResult | None]) -> None:
        copy_context().run(self._run, plugin)

    def settle(self, result: AttemptResult, *, was_held: bool = True) -> None:
        finished = [FinishedAttempt(self._task.lease, "noop", result)]
        (self._tracer.settled if was_held else self._tracer.refused)(finished, asked_ns=2_000)

    def _run(self, plugin: Callable[[], AttemptResult | None]) -> None:
        result = None
        self._tracer.started(self._task)
        try:
            result = plugin()
        finally:
            self._tracer.ended(self._task, result)


def decisions(sampler: RateLimitedRootSampler, name: str, count: int, links: Sequence[Link] = ()) -> int:
    """Return how many of `count` roots are sampled."""
    results = [sampler.should_sample(None, number, name, links=links) for number in range(count)]
    return sum(result.decision is Decision.RECORD_AND_SAMPLE for result in results)


def test_each_name_has_a_limit_of_its_own() -> None:
    sampler = RateLimitedRootSampler(ratio=1.0, max_per_s=1e-6)

    assert [decisions(sampler, name, 50) for name in ("POST", "POST", "GET")] == [1, 0, 1]


def test_root_that_was_sampled_in_advance_is_not_counted_twice() -> None:
    provider = TracerProvider(sampler=ParentBased(sampler := RateLimitedRootSampler(ratio=1.0, max_per_s=2)))

    contexts = [sampler.sample_root("POST") for _ in range(5)]

    assert [context is not None for context in contexts] == [True, True, False, False, False]
    spans = [provider.get_tracer("tests").start_span("POST", context) for context in contexts[:2]]
    assert all(span.is_recording() for span in spans)


def test_linked_root_is_sampled_even_at_a_ratio_of_zero() -> None:
    sampler, before = RateLimitedRootSampler(ratio=0.0, max_per_s=1_000), parse_traceparent(SUBMITTED)
    assert before is not None

    assert decisions(sampler, "POST", 50) == 0
    assert decisions(sampler, "relay default", 50, [Link(before)]) == 50


@pytest.mark.parametrize(("flags", "is_sampled"), [("01", True), ("00", False)])
def test_child_is_sampled_if_its_parent_is(flags: str, is_sampled: bool) -> None:
    provider = TracerProvider(sampler=ParentBased(RateLimitedRootSampler(ratio=0.5, max_per_s=1e-6)))
    parent = parse_traceparent(SUBMITTED[:-2] + flags)

    spans = [provider.get_tracer("tests").start_span("POST", child_context(parent)) for _ in range(20)]

    assert {span.is_recording() for span in spans} == {is_sampled}


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


def test_nothing_is_sampled_when_tracing_is_off() -> None:
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
        (2, SENT, None, (SUBMITTED,)),  # a message of an earlier attempt
    ],
)
def test_attempt_continues_the_trace_of_its_own_message_only(
    tracing: Tracing,
    exporter: InMemorySpanExporter,
    attempt: int,
    sent: str | None,
    parent: str | None,
    links: tuple[str, ...],
) -> None:
    Attempt(tracing, attempt, sent).settle(outcomes.succeeded(None))

    process = by_name(exporter)["process default"]
    assert process.parent == parse_traceparent(parent)
    assert [link.context for link in process.links] == [parse_traceparent(text) for text in links]


def test_wait_ends_at_the_claim_by_the_clock_of_the_database(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    Attempt(tracing, 1, SENT)
    Attempt(tracing, 1, SENT, queued_s=None)  # a recovered claim, whose wait is unknown

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
def test_outcome_of_an_attempt_is_on_its_spans(
    tracing: Tracing,
    exporter: InMemorySpanExporter,
    verdict: AttemptResult,
    was_held: bool,
    outcome: str,
    is_error: bool,
) -> None:
    attempt = Attempt(tracing, 1, SENT)

    attempt.run(lambda: verdict)
    attempt.settle(verdict, was_held=was_held)

    spans = by_name(exporter)
    assert spans["process default"].attributes is not None
    assert spans["process default"].attributes["taskcore.attempt.outcome"] == outcome
    for name in ("process default", "run noop"):
        assert (not spans[name].status.is_ok, spans[name].status.description) == (
            is_error,
            "went wrong" if is_error else None,
        )


def test_calls_are_children_of_the_run_and_the_context_is_restored_afterwards(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    def perform() -> AttemptResult | None:
        tracing.tracer.start_span("a call").end()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Attempt(tracing, 1, SENT).run(perform)

    spans = by_name(exporter)
    run = spans["run noop"].context
    assert run is not None
    assert spans["a call"].parent is not None
    assert spans["a call"].parent.span_id == run.span_id
    assert trace.get_current_span() is trace.INVALID_SPAN


class BlockingExporter(SpanExporter):
    """Takes one batch, and blocks until it is released."""

    def __init__(self) -> None:
        self.taken = threading.Event()
        self.released = threading.Event()
        self.count = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.count += len(spans)
        self.taken.set()
        self.released.wait()
        return SpanExportResult.FAILURE


def test_spans_beyond_the_queue_are_dropped_and_every_span_is_counted() -> None:
    before = {reason: SPANS_DROPPED.labels(reason)._value.get() for reason in ("queue_full", "not_exported")}
    exporter = BlockingExporter()
    processor = BoundedSpanProcessor(exporter, limit=BATCH_SIZE)
    provider = TracerProvider()
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("tests")

    for _ in range(BATCH_SIZE):
        tracer.start_span("taken", Context()).end()
    assert exporter.taken.wait(60)
    for _ in range(3 * BATCH_SIZE):
        tracer.start_span("too many", Context()).end()
    dropped = SPANS_DROPPED.labels("queue_full")._value.get() - before["queue_full"]
    exporter.released.set()
    provider.shutdown()

    assert dropped >= 2 * BATCH_SIZE
    assert exporter.count + dropped == 4 * BATCH_SIZE
    assert SPANS_DROPPED.labels("not_exported")._value.get() - before["not_exported"] == exporter.count


def test_number_of_remembered_names_is_limited() -> None:
    sampler = RateLimitedRootSampler(ratio=1.0, max_per_s=1e-6)

    followed = sum(decisions(sampler, f"call {number}", 1) for number in range(3 * MAX_NAMES))

    assert MAX_NAMES <= followed <= MAX_NAMES + 1


def test_trace_id_is_cut_out_of_any_text() -> None:
    assert [trace_id_of(text) for text in (None, "", "nonsense", SENT)] == [None, "", "sense", "a" * 32]


def test_long_values_are_cut_off(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    tracing.tracer.start_span("call", Context(), attributes={"text": "x" * 100_000}).end()

    assert by_name(exporter)["call"].attributes == {"text": "x" * MAX_TEXT}


def test_url_with_an_invalid_port_has_a_span_without_port(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    with (
        tracing.tracer.start_as_current_span("run", Context()),
        request_span(tracing.tracer, "GET", "http://here:99999/"),
    ):
        pass

    attributes = by_name(exporter)["GET"].attributes or {}
    assert (attributes["server.address"], "server.port" in attributes) == ("here", False)
