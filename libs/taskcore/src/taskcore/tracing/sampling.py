"""Which traces are followed. Decided once, where a trace begins; whatever comes of it goes by that."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from taskcore.settings import TracingSettings

#: What comes under more names than these, all of plugins' making, has one share together.
MOST_NAMES = 1_000


def sampler(settings: TracingSettings) -> Sampler:
    """Children as their parents, wherever those are; what begins a trace by `Roots`."""
    return ParentBased(root=Roots(settings.sample_ratio, settings.traces_per_s))


class Roots(Sampler):
    """A share of them, and of each name no more than `per_s` a second, with a second's worth at once.

    What is linked to others is followed: it goes on with what was followed before.
    """

    def __init__(self, ratio: float, per_s: float) -> None:
        self._share = TraceIdRatioBased(ratio)
        self._per_s = per_s
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}  # by name: how many, as of when

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if not links:
            result = self._share.should_sample(parent_context, trace_id, name, kind, attributes, links)
            if result.decision is not Decision.RECORD_AND_SAMPLE or not self._takes(name):
                return SamplingResult(Decision.DROP)
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        return f"Roots{{{self._share.get_description()},{self._per_s:g}/s}}"

    def _takes(self, name: str) -> bool:
        now, most = time.monotonic(), max(1.0, self._per_s)
        with self._lock:
            if len(self._left) >= MOST_NAMES and name not in self._left:
                name = ""
            left, as_of = self._left.get(name, (most, now))
            left = min(most, left + (now - as_of) * self._per_s)
            takes = left >= 1
            self._left[name] = (left - takes, now)
        return takes
