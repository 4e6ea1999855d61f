"""The spans of one attempt: the wait in the queue, and `process` with the children `claim`, `run` and `settle`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from opentelemetry import trace
from opentelemetry.context import attach
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, Tracer

from taskcore.domain.outcomes import AttemptOutcome, AttemptResult
from taskcore.domain.tasks import Claim, ClaimedTask, FinishedAttempt, Lease, SpanIds
from taskcore.observability.attempt_observer import AttemptObserver
from taskcore.observability.tracing import conventions
from taskcore.observability.tracing.client_spans import NO_TRACER, enter_untraced
from taskcore.observability.tracing.propagation import child_context, ids_of, links_to, parse_traceparent
from taskcore.observability.tracing.provider import Tracing, suppress_errors

ERROR_OUTCOMES = frozenset(
    {AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT, AttemptOutcome.LOST, AttemptOutcome.CRASHED}
)


class AttemptTracer(AttemptObserver):
    """Trace the attempts of sampled tasks. Keeps their spans in memory, from the claim to the settlement."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._traces: dict[Lease, AttemptTrace] = {}

    def claimed(self, claims: Sequence[Claim], asked_ns: int) -> None:
        if self._tracing.is_enabled:
            for claim in claims:
                if claim.submit_traceparent is not None:
                    with suppress_errors():
                        self._traces[claim.task.lease] = AttemptTrace(self._tracing, claim, asked_ns)

    def started(self, task: ClaimedTask) -> None:
        found = self._traces.get(task.lease)
        if found is not None:
            found.start_run()
        elif self._tracing.is_enabled:
            enter_untraced()

    def ended(self, task: ClaimedTask, result: AttemptResult | None) -> None:
        found = self._traces.get(task.lease) if result is not None else self._traces.pop(task.lease, None)
        if found is not None:
            found.end_run(result)

    def settled(self, batch: Sequence[FinishedAttempt], asked_ns: int) -> None:
        for trace_, finished in self._take(batch):
            trace_.end(finished.result, str(finished.result.outcome), asked_ns)

    def refused(self, batch: Sequence[FinishedAttempt], asked_ns: int) -> None:
        for trace_, finished in self._take(batch):
            trace_.end(finished.result, "refused", asked_ns)

    def span_ids(self, batch: Sequence[FinishedAttempt]) -> Mapping[Lease, SpanIds]:
        """Return the span ids of those attempts that are traced."""
        if not self._traces:
            return {}
        return {one.lease: found.span_ids for one in batch if (found := self._traces.get(one.lease)) is not None}

    def tracer(self, lease: Lease) -> Tracer:
        """Return the tracer for the spans that the plugin makes itself."""
        return self._tracing.tracer if lease in self._traces else NO_TRACER

    def add_child_spans(self, lease: Lease, spans: bytes, dropped: int) -> None:
        """Export the spans that the attempt's own process recorded. Raises `ValueError` when they are malformed."""
        if (found := self._traces.get(lease)) is not None:
            self._tracing.export_encoded(spans, found.span_ids.trace_id, dropped)

    def _take(self, batch: Sequence[FinishedAttempt]) -> list[tuple[AttemptTrace, FinishedAttempt]]:
        if not self._traces:
            return []
        return [(found, one) for one in batch if (found := self._traces.pop(one.lease, None)) is not None]


class AttemptTrace:
    """The spans from the claim to the settlement. An attempt that is not settled leaves no `process` span.

    The first attempt continues the trace of the submission. Each later one has a trace of its own, linked to the
    submission, which the relay starts and the message carries; without a message it starts here.
    """

    def __init__(self, tracing: Tracing, claim: Claim, asked_ns: int) -> None:
        task_id, attempt, _ = claim.task.lease
        queue = claim.task.queue
        task_attributes = conventions.task_attributes(task_id, claim.task.type, attempt)
        self._tracer = tracing.tracer
        submitted, sent = parse_traceparent(claim.submit_traceparent), parse_traceparent(claim.message_traceparent)
        parent = _parent(attempt, submitted, sent)
        self._process = self._tracer.start_span(
            f"process {queue}",
            child_context(parent),
            SpanKind.CONSUMER,
            {**conventions.message_attributes("process", "process", queue, task_id), **task_attributes},
            links_to() if attempt == 1 else links_to(submitted),
            start_time=asked_ns,
        )
        self._run: Span = trace.INVALID_SPAN
        self._run_name = f"run {claim.task.type}"
        self._add_wait(claim, task_attributes, submitted if attempt == 1 else parent)
        self._add_statement("claim", asked_ns)

    @property
    def span_ids(self) -> SpanIds:
        return ids_of(self._process.get_span_context())

    def start_run(self) -> None:
        """Start the span `run` and make it current, for the rest of this context."""
        with suppress_errors():
            self._run = self._tracer.start_span(self._run_name, trace.set_span_in_context(self._process))
            attach(trace.set_span_in_context(self._run))

    def end_run(self, result: AttemptResult | None) -> None:
        """End the span `run`. Without a result the attempt will not be settled, so that all of it ends here."""
        with suppress_errors():
            _end(self._run, result)
            if result is None:
                _end(self._process, None)

    def end(self, result: AttemptResult, outcome: str, asked_ns: int) -> None:
        """End the trace, after the settlement that was requested at `asked_ns` (Unix time)."""
        with suppress_errors():
            self._add_statement("settle", asked_ns)
            self._process.set_attribute(conventions.OUTCOME, outcome)
            _end(self._process, result)

    def _add_wait(self, claim: Claim, attributes: conventions.Attributes, parent: SpanContext | None) -> None:
        """Add the wait in the queue. Start and end are by the database's clock, as in the history."""
        if claim.queued_s is None or claim.claimed_at is None:
            return
        until_ns = int(claim.claimed_at.timestamp()) * 1_000_000_000 + claim.claimed_at.microsecond * 1_000
        started_ns = until_ns - round(claim.queued_s * 1_000_000) * 1_000
        context = trace.set_span_in_context(self._process) if parent is None else child_context(parent)
        name = f"wait in {claim.task.queue}"
        self._tracer.start_span(name, context, attributes=attributes, start_time=started_ns).end(until_ns)

    def _add_statement(self, name: str, asked_ns: int) -> None:
        context = trace.set_span_in_context(self._process)
        attributes = conventions.statement_attributes("UPDATE", "task")
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=asked_ns)
        span.end(time.time_ns())


def _end(span: Span, result: AttemptResult | None) -> None:
    if result is None:
        span.set_status(Status(StatusCode.ERROR, "the lease ended before the attempt"))
    elif result.outcome in ERROR_OUTCOMES:
        span.set_attribute("error.type", str(result.reason or result.outcome))
        span.set_status(Status(StatusCode.ERROR, (result.error or "").partition("\n")[0]))
    span.end()


def _parent(attempt: int, submitted: SpanContext | None, sent: SpanContext | None) -> SpanContext | None:
    """Choose the parent span. A message of an earlier attempt has another trace id and is no parent."""
    is_first = attempt == 1
    goes_on = sent is not None and submitted is not None and sent.trace_id == submitted.trace_id
    if sent is not None and goes_on == is_first:
        return sent
    return submitted if is_first else None
