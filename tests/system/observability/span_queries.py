"""Queries on the spans that the endpoint has received."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from harness.otlp_receiver import OtlpReceiver, Span
from tests.system.system import System

#: The trace id and span id of a caller that takes part in a trace.
CALLER = ("5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e", "5eed5eed5eed5eed")


def attempts_of(task_id: int, spans: Sequence[Span]) -> list[Span]:
    """Return the `process` spans of the task, in order of attempts."""
    found = [
        span for span in spans if span.name.startswith("process") and span.attributes["taskcore.task.id"] == task_id
    ]
    return sorted(found, key=lambda span: str(span.attributes["taskcore.task.attempt"]))


def traces_of(receiver: OtlpReceiver, task_id: int, attempts: int = 1) -> list[list[Span]]:
    """Wait until the traces of this many attempts are complete, and return their spans."""

    def are_there(spans: Sequence[Span]) -> bool:
        found = attempts_of(task_id, spans)
        return len(found) == attempts and all(_is_complete(one.trace_id, spans) for one in found)

    spans = receiver.wait_for(are_there)
    return [[span for span in spans if span.trace_id == one.trace_id] for one in attempts_of(task_id, spans)]


def _is_complete(trace_id: str, spans: Sequence[Span]) -> bool:
    """Return whether every received span has its parent."""
    ids = {span.span_id for span in spans}
    ours = [span for span in spans if span.trace_id == trace_id]
    return all(span.parent_id in ids or span.parent_id in (None, CALLER[1]) for span in ours)


def named(spans: Sequence[Span], name: str) -> Span:
    (span,) = [span for span in spans if span.name == name]
    return span


def history_times(system: System, task_id: int) -> dict[str, datetime]:
    """Return the last time at which the task reached each status."""
    rows = system.sql("SELECT to_status, at FROM task_history WHERE task_id = %s ORDER BY id", task_id)
    return {row["to_status"]: row["at"] for row in rows}
