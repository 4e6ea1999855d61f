"""The spans of one attempt: the wait in the queue, and `process` with the children `claim`, `run` and `settle`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from opentelemetry import trace
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, Tracer

from taskcore.domain.outcomes import AttemptOutcome, AttemptResult
from taskcore.observability.tracing import conventions
from taskcore.observability.tracing.propagation import child_context, links_to, parse_traceparent
from taskcore.observability.tracing.provider import Tracing, suppress_errors

ERROR_OUTCOMES = frozenset(
    {AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT, AttemptOutcome.LOST, AttemptOutcome.CRASHED}
)


@dataclass(frozen=True, slots=True)
class ClaimInfo:
    """What is known when a task is claimed.

    `submit_traceparent` and `message_traceparent` are the contexts of the task's submission and of its message.
    `started_ns` is when the claim was requested (Unix time), `claimed_at` when it was made, by the database's clock.
    The task had waited for `queued_s` by then; `None` when a repeated claim no longer knows.
    """

    task_id: int
    type: str
    queue: str
    attempt: int
    submit_traceparent: str
    message_traceparent: str | None
    started_ns: int
    claimed_at: datetime
    queued_s: float | None


class AttemptTrace:
    """The spans from the claim to the settlement. An attempt that is not settled leaves no `process` span.

    The first attempt continues the trace of the submission. Each later one has a trace of its own, linked to the
    submission, which the relay starts and the message carries; without a message it starts here.
    """

    def __init__(self, tracing: Tracing, claim: ClaimInfo) -> None:
        self._tracing = tracing
        self._tracer = tracing.tracer
        submitted, sent = parse_traceparent(claim.submit_traceparent), parse_traceparent(claim.message_traceparent)
        parent = _parent(claim.attempt, submitted, sent)
        self._process = self._tracer.start_span(
            f"process {claim.queue}",
            child_context(parent),
            SpanKind.CONSUMER,
            {
                **conventions.message_attributes("process", "process", claim.queue, claim.task_id),
                **conventions.task_attributes(claim.task_id, claim.type, claim.attempt),
            },
            links_to() if claim.attempt == 1 else links_to(submitted),
            start_time=claim.started_ns,
        )
        self._type = claim.type
        if claim.queued_s is not None:
            self._add_wait(claim, claim.queued_s, submitted if claim.attempt == 1 else parent)
        self._child("claim", conventions.statement_attributes("UPDATE", "task"), claim.started_ns)

    @property
    def trace_id(self) -> str:
        return f"{self._process.get_span_context().trace_id:032x}"

    @property
    def span_id(self) -> str:
        return f"{self._process.get_span_context().span_id:016x}"

    @property
    def tracer(self) -> Tracer:
        return self._tracer

    def run(self, perform: Callable[[], AttemptResult | None]) -> AttemptResult | None:
        """Call `perform` inside the span `run`. Without a result the attempt will not be settled, so it ends here."""
        run: Span = trace.INVALID_SPAN
        with suppress_errors():
            run = self._tracer.start_span(f"run {self._type}", trace.set_span_in_context(self._process))
        verdict = None
        try:
            with trace.use_span(run, record_exception=False, set_status_on_exception=False):
                verdict = perform()
        finally:
            with suppress_errors():
                _end(run, verdict)
                if verdict is None:
                    _end(self._process, None)
        return verdict

    def add_child_spans(self, spans: bytes, dropped: int) -> None:
        """Export the spans that the attempt's own process recorded. Raises `ValueError` when they are malformed."""
        self._tracing.export_encoded(spans, self.trace_id, dropped)

    def settled(self, started_ns: int, verdict: AttemptResult, *, was_held: bool) -> None:
        """End the trace: the result was stored, or refused because the lease was gone."""
        with suppress_errors():
            self._child("settle", conventions.statement_attributes("UPDATE", "task"), started_ns)
            self._process.set_attribute(conventions.OUTCOME, str(verdict.outcome) if was_held else "refused")
            _end(self._process, verdict)

    def _add_wait(self, begun: ClaimInfo, queued_s: float, parent: SpanContext | None) -> None:
        """Add the wait in the queue. Start and end are by the database's clock, as in the history."""
        until_ns = _ns(begun.claimed_at)
        context = trace.set_span_in_context(self._process) if parent is None else child_context(parent)
        wait = self._tracer.start_span(
            f"wait in {begun.queue}",
            context,
            attributes=conventions.task_attributes(begun.task_id, begun.type, begun.attempt),
            start_time=until_ns - round(queued_s * 1_000_000) * 1_000,
        )
        wait.end(until_ns)

    def _child(self, name: str, attributes: conventions.Attributes, began_ns: int) -> None:
        context = trace.set_span_in_context(self._process)
        self._tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=began_ns).end(time.time_ns())


def _end(span: Span, verdict: AttemptResult | None) -> None:
    if verdict is None:
        span.set_status(Status(StatusCode.ERROR, "the lease ended before the attempt"))
    elif verdict.outcome in ERROR_OUTCOMES:
        span.set_attribute("error.type", str(verdict.reason or verdict.outcome))
        span.set_status(Status(StatusCode.ERROR, (verdict.error or "").partition("\n")[0]))
    span.end()


def _parent(attempt: int, submitted: SpanContext | None, sent: SpanContext | None) -> SpanContext | None:
    """Choose the parent span. A message may date from an earlier attempt; its trace id then gives it away."""
    is_first = attempt == 1
    goes_on = sent is not None and submitted is not None and sent.trace_id == submitted.trace_id
    if sent is not None and goes_on == is_first:
        return sent
    return submitted if is_first else None


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000
