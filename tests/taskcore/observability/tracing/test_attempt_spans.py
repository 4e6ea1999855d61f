"""The spans of an attempt: their parents, times and outcomes."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from taskcore.domain import outcomes
from taskcore.domain.outcomes import AttemptResult, Reason
from taskcore.domain.tasks import Claim, ClaimedTask, FinishedAttempt, Lease
from taskcore.observability.tracing.attempt_spans import AttemptTracer
from taskcore.observability.tracing.propagation import (
    parse_traceparent,
)
from taskcore.observability.tracing.provider import Tracing

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
