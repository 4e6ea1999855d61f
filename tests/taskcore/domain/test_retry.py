"""When a failed task is retried."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcore.domain.retry import MAX_FACTOR, MAX_WAIT, RetryPolicy, plan_retry


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


@given(
    factor=st.floats(0, MAX_FACTOR),
    initial=st.timedeltas(timedelta(0), MAX_WAIT),
    cap=st.timedeltas(timedelta(0), MAX_WAIT),
    jitter=st.floats(0, 1),
    failures=st.integers(1, 32_767),
    spread=st.floats(-1, 1),
)
def test_every_accepted_policy_has_a_wait_that_can_be_stored(
    factor: float, initial: timedelta, cap: timedelta, jitter: float, failures: int, spread: float
) -> None:
    policy = RetryPolicy(initial=initial, factor=factor, cap=cap, jitter=jitter)

    assert timedelta(0) <= policy.wait_after(failures, spread) <= MAX_WAIT


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_attempts": 0}, "max_attempts is from 1 to 100, not 0"),
        ({"max_attempts": 2.5}, "max_attempts is an integer"),
        ({"factor": 1e9}, "factor is from 0 to 1000"),
        ({"factor": float("nan")}, "factor is from 0 to 1000"),
        ({"factor": "3"}, "factor is a number"),
        ({"jitter": -1}, "jitter is from 0 to 1"),
        ({"initial": 5}, "initial takes timedeltas, not 5"),
        ({"cap": timedelta.max}, "cap is from 0 to 3650 days"),
        ({"waits": (timedelta(-1),)}, "waits is from 0 to 3650 days"),
        ({"waits": timedelta(1)}, "waits is a tuple of timedeltas"),
    ],
)
def test_policy_that_cannot_work_is_refused_in_words(values: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        RetryPolicy(**values)
