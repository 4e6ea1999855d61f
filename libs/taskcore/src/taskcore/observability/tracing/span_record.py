"""Finished spans for display, whether from this process or from a trace viewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from taskcore.domain.tasks import SpanIds
from taskcore.observability.tracing import conventions


@dataclass(frozen=True, slots=True)
class SpanEvent:
    name: str
    time_ns: int
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """Ids are hexadecimal, times are Unix time in nanoseconds, attributes are JSON values.

    `kind` and `status` are OpenTelemetry's names in lower case.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    service: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status: str = "unset"
    status_message: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    links: Sequence[SpanIds] = ()
    events: Sequence[SpanEvent] = ()

    @property
    def task_id(self) -> str | None:
        found = self.attributes.get(conventions.TASK_ID)
        return None if found is None else str(found)
