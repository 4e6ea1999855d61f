"""What the log says about a server that is unavailable."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from taskcore.observability.outages import QUIET_S, REPORT_INTERVAL_S, Outage


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outage(clock: Clock) -> Outage:
    return Outage("database", clock)


def fail(outage: Outage, clock: Clock, *, times: int, every_s: float) -> None:
    for _ in range(times):
        outage.failed("refused")
        clock.now += every_s


def test_repeated_failures_are_one_line_and_then_one_every_30_seconds(outage: Outage, clock: Clock) -> None:
    with capture_logs() as lines:
        fail(outage, clock, times=131, every_s=0.5)

    assert [line["event"] for line in lines] == [
        "database.unavailable",
        "database.still_unavailable",
        "database.still_unavailable",
    ]
    assert [(line.get("for_s"), line.get("count")) for line in lines] == [(None, None), (30.0, 61), (60.0, 121)]


def test_the_end_is_reported_with_its_duration(outage: Outage, clock: Clock) -> None:
    with capture_logs() as lines:
        fail(outage, clock, times=21, every_s=0.5)
        clock.now += QUIET_S
        outage.succeeded()
        outage.succeeded()

    assert lines[1:] == [{"event": "database.available_again", "after_s": 10.0, "count": 21, "log_level": "warning"}]


def test_a_success_beside_failures_ends_nothing(outage: Outage, clock: Clock) -> None:
    with capture_logs() as lines:
        for _ in range(20):
            fail(outage, clock, times=1, every_s=1)
            outage.succeeded()

    assert [line["event"] for line in lines] == ["database.unavailable"]


def test_a_failure_long_after_the_last_one_is_an_outage_of_its_own(outage: Outage, clock: Clock) -> None:
    with capture_logs() as lines:
        fail(outage, clock, times=2, every_s=REPORT_INTERVAL_S + 1)

    assert [line["event"] for line in lines] == ["database.unavailable"] * 2


@pytest.mark.parametrize("error", ["refused", ConnectionError("refused\nand more")])
def test_a_line_has_the_first_line_of_the_error_and_the_fields_of_both(clock: Clock, error: Any) -> None:
    with capture_logs() as lines:
        Outage("listener", clock, channel="outbox").failed(error, waiting=3)

    (line,) = lines
    assert (line["channel"], line["waiting"]) == ("outbox", 3)
    assert line["error"].endswith("refused")
