"""The attempt that this thread runs, as fields of every line that is logged meanwhile, by our code or by others'."""

from __future__ import annotations

from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

from taskcore.domain.tasks import ClaimedTask
from taskcore.observability.attempt_observer import AttemptObserver
from taskcore.observability.tracing.propagation import current_traceparent, trace_id_of

_current: ContextVar[ClaimedTask | None] = ContextVar("attempt", default=None)


class LogContext(AttemptObserver):
    def started(self, task: ClaimedTask) -> None:
        _current.set(task)


def is_in_attempt() -> bool:
    """Return whether this context belongs to an attempt. Threads that a plugin starts have a context of their own."""
    return _current.get() is not None


def add_attempt_fields(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the ids of the current attempt and trace, as a structlog processor. Fields that the line has win."""
    claimed = _current.get()
    if claimed is not None:
        line.setdefault("task_id", claimed.lease.task_id)
        line.setdefault("task_type", claimed.type)
        line.setdefault("attempt", claimed.lease.attempt)
        if claimed.request_id is not None:
            line.setdefault("request_id", claimed.request_id)
    if "trace_id" not in line and (trace_id := trace_id_of(current_traceparent())) is not None:
        line["trace_id"] = trace_id
    return line
