"""Which traces are sampled."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, ParentBased
from opentelemetry.trace import Link

from taskcore.observability.tracing.propagation import (
    child_context,
    parse_traceparent,
)
from taskcore.observability.tracing.sampler import MAX_NAMES, RateLimitedRootSampler

SUBMITTED = "00-" + "a" * 32 + "-" + "1" * 16 + "-01"


def decisions(sampler: RateLimitedRootSampler, name: str, count: int, links: Sequence[Link] = ()) -> int:
    """Return how many of `count` roots are sampled."""
    results = [sampler.should_sample(None, number, name, links=links) for number in range(count)]
    return sum(result.decision is Decision.RECORD_AND_SAMPLE for result in results)


def test_each_name_has_a_limit_of_its_own() -> None:
    sampler = RateLimitedRootSampler(ratio=1.0, max_per_s=1e-6)

    assert [decisions(sampler, name, 50) for name in ("POST", "POST", "GET")] == [1, 0, 1]


def test_root_that_was_sampled_in_advance_is_not_counted_twice() -> None:
    provider = TracerProvider(sampler=ParentBased(sampler := RateLimitedRootSampler(ratio=1.0, max_per_s=2)))

    contexts = [sampler.sample_root("POST") for _ in range(5)]

    assert [context is not None for context in contexts] == [True, True, False, False, False]
    spans = [provider.get_tracer("tests").start_span("POST", context) for context in contexts[:2]]
    assert all(span.is_recording() for span in spans)


def test_linked_root_is_sampled_even_at_a_ratio_of_zero() -> None:
    sampler, before = RateLimitedRootSampler(ratio=0.0, max_per_s=1_000), parse_traceparent(SUBMITTED)
    assert before is not None

    assert decisions(sampler, "POST", 50) == 0
    assert decisions(sampler, "relay default", 50, [Link(before)]) == 50


@pytest.mark.parametrize(("flags", "is_sampled"), [("01", True), ("00", False)])
def test_child_is_sampled_if_its_parent_is(flags: str, is_sampled: bool) -> None:
    provider = TracerProvider(sampler=ParentBased(RateLimitedRootSampler(ratio=0.5, max_per_s=1e-6)))
    parent = parse_traceparent(SUBMITTED[:-2] + flags)

    spans = [provider.get_tracer("tests").start_span("POST", child_context(parent)) for _ in range(20)]

    assert {span.is_recording() for span in spans} == {is_sampled}


def test_number_of_remembered_names_is_limited() -> None:
    sampler = RateLimitedRootSampler(ratio=1.0, max_per_s=1e-6)

    sampled = sum(decisions(sampler, f"call {number}", 1) for number in range(3 * MAX_NAMES))

    assert MAX_NAMES <= sampled <= MAX_NAMES + 1
