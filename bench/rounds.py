"""Draining and end to end: the two sides in turn, so that what troubles the machine troubles both."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from statistics import median

from bench.contender import Contender
from bench.cpu import Usage
from harness.waiting import eventually

DRAIN = "drain"
END_TO_END = "end_to_end"
WARM_UP = 500


class Rounds:
    """Rates (tasks a second) and processor time (µs a task, by role) of each side, gathered round by round."""

    def __init__(self, contenders: Sequence[Contender], tasks: int, measurements: Collection[str]) -> None:
        self._sides = contenders
        self._tasks = tasks
        self._what = measurements
        self.rates: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._spent: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)

    def warm_up(self) -> None:
        for side in self._sides:
            side.start_workers()
            self._idle_run(side)
            side.stop_workers()

    def run(self) -> None:
        """One round."""
        for side in self._sides:
            if DRAIN in self._what:
                self._drain(side)
            else:
                side.start_workers()
                self._idle_run(side)
            if END_TO_END in self._what:
                self._end_to_end(side)
            side.stop_workers()
            side.flush_writes()

    def cpu_us_per_task(self, measurement: str, side: str) -> dict[str, float]:
        """The median of each role, in µs a task."""
        runs = self._spent[measurement, side]
        roles = dict.fromkeys(role for run in runs for role in run)
        return {role: median(run.get(role, 0.0) for run in runs) / self._tasks * 1e6 for role in roles}

    def _drain(self, side: Contender) -> None:
        """From the first task's start to the last one's end: starting processes is not measured."""
        side.prepare(self._tasks)
        side.submit()
        side.start_workers()
        eventually(side.has_started, poll_s=0.02, description="the first task's start")
        before = Usage.of(side.processes())
        span = side.wait()
        self._spent[DRAIN, side.name].append(Usage.of(side.processes()).since(before))
        self.rates[DRAIN, side.name].append(self._tasks / (span.last_finished_at - span.first_started_at))

    def _end_to_end(self, side: Contender) -> None:
        """From the first submit to the last end, with idle workers to begin with."""
        side.prepare(self._tasks)
        before = Usage.of(side.processes())
        began_at = time.time()
        side.submit()
        span = side.wait()
        self._spent[END_TO_END, side.name].append(Usage.of(side.processes()).since(before))
        self.rates[END_TO_END, side.name].append(self._tasks / (span.last_finished_at - began_at))

    def _idle_run(self, side: Contender) -> None:
        side.prepare(WARM_UP)
        side.submit()
        side.wait()
