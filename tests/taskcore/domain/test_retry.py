"""When a failed task is retried."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from taskcore.domain.retry import RetryPolicy, plan_retry


@given(failures=st.integers(1, 99), spread=st.floats(-1, 1))
def test_waits_grow_up_to_the_cap_with_any_jitter(failures: int, spread: float) -> None:
    policy = RetryPolicy()

    earlier, later = policy.wait_after(failures, spread), policy.wait_after(failures + 1, -spread)

    cap = policy.cap * (1 - policy.jitter)
    assert earlier < later or later >= cap
    assert earlier <= policy.cap * (1 + policy.jitter)


def test_no_retry_is_planned_after_the_last_attempt() -> None:
    assert plan_retry(RetryPolicy(), 4, 3, 0.0) is not None
    assert plan_retry(RetryPolicy(), 4, 4, 0.0) is None


def test_the_last_listed_wait_repeats() -> None:
    hours = RetryPolicy(waits=(timedelta(hours=3), timedelta(hours=4), timedelta(hours=6)), jitter=0)

    assert [hours.wait_after(n, 0.5) for n in (1, 2, 3, 4)] == [timedelta(hours=h) for h in (3, 4, 6, 6)]
