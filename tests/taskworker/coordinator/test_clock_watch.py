"""Whether the database's clock was set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from taskworker.coordinator.clock_watch import ClockWatch

TOLERANCE_S = 5.0


@dataclass
class Clocks:
    """The database's clock, and the monotonic one of this process."""

    offset_s: float = 1e9
    monotonic_s: float = 100.0

    def read(self, watch: ClockWatch, *, before_s: float = 0.0, after_s: float = 0.0) -> float:
        """Ask for the time: the reply is made after `before_s`, and arrives `after_s` later."""
        asked_at = self.monotonic_s
        shown = datetime.fromtimestamp(self.offset_s + self.monotonic_s + before_s, UTC)
        self.monotonic_s += before_s + after_s
        return watch.jump_s(shown, asked_at)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def watch(clocks: Clocks) -> ClockWatch:
    return ClockWatch(TOLERANCE_S, lambda: clocks.monotonic_s)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_set_has_jumped_once(clocks: Clocks, watch: ClockWatch, hours: int) -> None:
    jump_s = timedelta(hours=hours).total_seconds()
    assert clocks.read(watch) == 0

    clocks.offset_s += jump_s

    assert clocks.read(watch) == pytest.approx(jump_s)
    assert clocks.read(watch) == 0


@pytest.mark.parametrize("slow", [{"before_s": 60.0}, {"after_s": 60.0}, {"before_s": 30.0, "after_s": 30.0}])
def test_a_slow_reply_is_no_jump_and_hides_none(clocks: Clocks, watch: ClockWatch, slow: dict[str, float]) -> None:
    jumps = [clocks.read(watch), clocks.read(watch, **slow), clocks.read(watch)]
    assert jumps == [0, 0, 0]

    clocks.read(watch, **slow)
    clocks.offset_s += 10

    assert clocks.read(watch) == pytest.approx(10)


def test_slow_drift_is_no_jump(clocks: Clocks, watch: ClockWatch) -> None:
    for _ in range(10):
        assert clocks.read(watch) == 0
        clocks.offset_s += TOLERANCE_S - 1
