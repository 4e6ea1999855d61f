"""Which task types are short, by their recent runs."""

from __future__ import annotations

import pytest

from taskcore.execution.type_durations import MIN_SAMPLES, SHORT_RUN_S, VERY_SHORT_RUN_S, TypeDurations


@pytest.mark.parametrize(
    ("ran_s", "runs", "is_short", "is_very_short"),
    [
        (0.001, MIN_SAMPLES, True, True),
        (0.001, MIN_SAMPLES - 1, False, False),
        (VERY_SHORT_RUN_S, MIN_SAMPLES, True, False),
        (SHORT_RUN_S, MIN_SAMPLES, False, False),
    ],
)
def test_type_is_short_after_enough_short_runs(ran_s: float, runs: int, is_short: bool, is_very_short: bool) -> None:
    durations = TypeDurations()
    for _ in range(runs):
        durations.observe("noop", ran_s)

    assert (durations.is_short("noop"), durations.is_very_short("noop")) == (is_short, is_very_short)


def test_one_long_run_makes_a_type_long_for_a_while() -> None:
    durations = TypeDurations()
    for _ in range(MIN_SAMPLES):
        durations.observe("noop", 0.001)
    assert durations.short_types() == ["noop"]

    durations.observe("noop", 0.5)
    assert durations.short_types() == []

    for _ in range(500):
        durations.observe("noop", 0.001)
    assert durations.short_types() == ["noop"]
