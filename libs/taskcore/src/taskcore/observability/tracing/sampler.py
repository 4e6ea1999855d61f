"""Which traces are followed. Decided once, where a trace begins; whatever comes of it goes by that."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from random import random

from opentelemetry.context import Context, create_key, get_value
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

#: What comes under more names than these, all of plugins' making, has one share together.
MAX_NAMES = 1_000

_IS_SAMPLED = create_key("taskcore.taken")
_SAMPLED = Context({_IS_SAMPLED: True})


class RateLimitedRootSampler(Sampler):
    """A share of them, and of each name no more than `per_s` a second, with a second's worth at once.

    What is linked to others is followed: it goes on with what was followed before.
    """

    def __init__(self, ratio: float, max_per_s: float) -> None:
        self._ratio = ratio
        self._max_per_s = max_per_s
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[float, float]] = {}  # by name: how many, as of when

    def sample_root(self, name: str) -> Context | None:
        """The context of the span with which a trace begins; None where it is not followed, which costs no span."""
        return _SAMPLED if self._sample(name) else None

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
        return f"Roots{{{self._ratio:g},{self._max_per_s:g}/s}}"

    def _sample(self, name: str) -> bool:
        if random() >= self._ratio:
            return False
        now, most = time.monotonic(), max(1.0, self._max_per_s)
        with self._lock:
            if len(self._tokens) >= MAX_NAMES and name not in self._tokens:
                name = ""
            left, as_of = self._tokens.get(name, (most, now))
            left = min(most, left + (now - as_of) * self._max_per_s)
            takes = left >= 1
            self._tokens[name] = (left - takes, now)
        return takes
