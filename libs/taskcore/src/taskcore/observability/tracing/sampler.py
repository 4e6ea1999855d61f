"""Decides which traces are sampled: once, at the root. All other spans of the trace follow that decision."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from random import random

from opentelemetry.context import Context, create_key, get_value
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

#: Plugins invent span names at will, so names beyond this number share one limit.
MAX_NAMES = 1_000

_IS_SAMPLED = create_key("taskcore.taken")
_SAMPLED = Context({_IS_SAMPLED: True})


class RateLimitedRootSampler(Sampler):
    """Samples the share `ratio` of root spans, and of each name at most `max_per_s` a second, by a token bucket.

    A root with links is always sampled, because it continues a sampled trace.
    """

    def __init__(self, ratio: float, max_per_s: float) -> None:
        self._ratio = ratio
        self._max_per_s = max_per_s
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[float, float]] = {}  # by name: how many, and when that was

    def sample_root(self, name: str) -> Context | None:
        """Return the context for a root span `name`, or `None` if it is not sampled. No span is made."""
        return _SAMPLED if self._sample(name) else None

    def take(self, name: str) -> bool:
        """Whether one more trace that a caller has sampled, and that begins here as `name`, is within the limit."""
        now, most = time.monotonic(), max(1.0, self._max_per_s)
        with self._lock:
            if len(self._tokens) >= MAX_NAMES and name not in self._tokens:
                name = ""
            left, as_of = self._tokens.get(name, (most, now))
            left = min(most, left + (now - as_of) * self._max_per_s)
            takes = left >= 1
            self._tokens[name] = (left - takes, now)
        return takes

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
        if links or get_value(_IS_SAMPLED, parent_context) or self._sample(name):
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        return SamplingResult(Decision.DROP)

    def get_description(self) -> str:
        return f"RateLimitedRootSampler{{{self._ratio:g},{self._max_per_s:g}/s}}"

    def _sample(self, name: str) -> bool:
        return random() < self._ratio and self.take(name)
