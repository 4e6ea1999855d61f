"""Backoff after failures in a row."""

from __future__ import annotations

import random

from taskcore.domain.backoff import Backoff


def test_waits_grow_with_failures_up_to_a_limit() -> None:
    backoff = Backoff(rng=random.Random(1))

    waits = [backoff.next_s() for _ in range(12)]

    assert all(0.5 <= wait <= 30 for wait in waits)
    assert waits[0] < 1 < waits[5]
    assert waits[11] >= 15
    backoff.reset()
    assert backoff.next_s() < 1
    assert backoff.next_s(at_least_s=77) == 77


def test_waits_double_without_jitter() -> None:
    backoff = Backoff(first_s=0.1, max_s=0.5)

    assert [backoff.next_s() for _ in range(4)] == [0.1, 0.2, 0.4, 0.5]
