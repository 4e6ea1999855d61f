"""Where spans are read from: the trace viewer, or the memory of this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from taskapi.runtime.trace_viewer import TraceViewer
from taskcore.observability.tracing.memory_store import InMemorySpanStore
from taskcore.observability.tracing.span_record import SpanRecord
from taskcore.settings import TRACE_ID_PLACEHOLDER, Settings

SpansByTrace = Mapping[str, Sequence[SpanRecord]]


@dataclass(frozen=True, slots=True)
class TraceLinks:
    """Builds links to the pages of traces from the setting `trace_url_template`. Without it there are none."""

    template: str | None

    def url_for(self, task_id: int, trace_id: str | None) -> str | None:
        if self.template is None or trace_id is None:
            return None
        return self.template.replace(TRACE_ID_PLACEHOLDER, trace_id).replace("{task_id}", str(task_id))


class TraceSource(Protocol):
    @property
    def name(self) -> Literal["viewer", "local"]: ...

    async def find_spans(self, trace_ids: Sequence[str]) -> SpansByTrace:
        """Return the spans of each trace in any order; none for a trace that is unknown."""


class LocalSource:
    """The spans in the memory of this process."""

    name: Literal["local"] = "local"

    def __init__(self, spans: InMemorySpanStore) -> None:
        self._spans = spans

    async def find_spans(self, trace_ids: Sequence[str]) -> SpansByTrace:
        return {trace_id: self._spans.spans(trace_id) for trace_id in trace_ids}


@dataclass(frozen=True, slots=True)
class Traces:
    """`source` is None when there is nothing to read spans from."""

    links: TraceLinks
    source: TraceSource | None

    @classmethod
    def from_settings(cls, settings: Settings, local: InMemorySpanStore | None) -> Self:
        links = TraceLinks(settings.trace_url_template)
        if settings.tracing.query_url is not None:
            with_others = settings.tracing.shows_other_services
            return cls(links, TraceViewer(settings.tracing.query_url, with_others=with_others))
        return cls(links, None if local is None else LocalSource(local))

    async def close(self) -> None:
        if isinstance(self.source, TraceViewer):
            await self.source.close()
