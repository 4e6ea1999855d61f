"""The relay's spans: `relay` for each message of a traced task, with the child `publish`, whose context it carries."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from taskcore.observability.tracing import conventions
from taskcore.observability.tracing.propagation import child_context, links_to, parse_traceparent, traceparent
from taskcore.observability.tracing.provider import Tracing, suppress_errors


class DispatchSpans:
    """The spans of one batch of `rows`, from `started_ns`, when it was requested, until the broker confirmed it.

    A task that has run before starts a new trace, linked to its submission and its last attempt: otherwise hours
    between two attempts would make a trace of hours.
    """

    def __init__(self, tracing: Tracing, queue: str, rows: Sequence[Any], started_ns: int) -> None:
        self._tracer = tracing.tracer
        self._queue = queue
        self._spans: dict[int, tuple[Span, Span]] = {}
        traced = [row for row in rows if row.trace_context] if tracing.is_enabled else []
        with suppress_errors():  # the rows are already marked as dispatched
            self._spans |= {row.task_id: self._open(row, started_ns) for row in traced}
        self.contexts: Mapping[int, str] = {
            task_id: context
            for task_id, (_, publish) in self._spans.items()
            if (context := traceparent(publish)) is not None
        }

    def end(self, unconfirmed: Collection[int]) -> None:
        """End all spans, those of `unconfirmed` task ids as errors."""
        now_ns = time.time_ns()
        with suppress_errors():
            for task_id, spans in self._spans.items():
                for span in reversed(spans):
                    if task_id in unconfirmed:
                        span.set_status(Status(StatusCode.ERROR, "the broker did not confirm it"))
                    span.end(now_ns)

    def _open(self, row: Any, started_ns: int) -> tuple[Span, Span]:
        submitted = parse_traceparent(row.trace_context)
        last_attempt = parse_traceparent(f"00-{row.trace_id}-{row.span_id}-01")
        relay = self._tracer.start_span(
            f"relay {self._queue}",
            child_context(None if row.attempt else submitted),
            attributes=conventions.task_attributes(row.task_id, row.type, row.attempt + 1),
            links=links_to(submitted, last_attempt) if row.attempt else None,
            start_time=started_ns,
        )
        publish = self._tracer.start_span(
            f"publish {self._queue}",
            trace.set_span_in_context(relay),
            SpanKind.PRODUCER,
            conventions.message_attributes("publish", "send", self._queue, row.task_id),
        )
        return relay, publish
