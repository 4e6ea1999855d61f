"""Rounds of drain and end-to-end measurements. Contenders alternate, so that disturbances affect both."""

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
    """Collects the rates (tasks per second) and the CPU time (µs per task, by role) of each contender."""

    def __init__(self, contenders: Sequence[Contender], tasks: int, measurements: Collection[str]) -> None:
        self._contenders = contenders
        self._tasks = tasks
        self._what = measurements
        self.rates: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._spent: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)

    def warm_up(self) -> None:
        for contender in self._contenders:
            contender.start_workers()
            self._idle_run(contender)
            contender.stop_workers()

    def run(self) -> None:
        """Run one round with every contender."""
        for contender in self._contenders:
            if DRAIN in self._what:
                self._drain(contender)
            else:
                contender.start_workers()
                self._idle_run(contender)
            if END_TO_END in self._what:
                self._end_to_end(contender)
            contender.stop_workers()
            contender.flush_writes()

    def cpu_us_per_task(self, measurement: str, contender: str) -> dict[str, float]:
        """Return the median CPU time of each role, in µs per task."""
        runs = self._spent[measurement, contender]
        roles = dict.fromkeys(role for run in runs for role in run)
        return {role: median(run.get(role, 0.0) for run in runs) / self._tasks * 1e6 for role in roles}

    def _drain(self, contender: Contender) -> None:
        """Measure from the first start to the last end, without the start of the processes."""
        contender.prepare(self._tasks)
        contender.submit()
        contender.start_workers()
        eventually(contender.has_started, poll_s=0.02, description="the first task's start")
        before = Usage.of(contender.processes())
        window = contender.wait()
        self._spent[DRAIN, contender.name].append(Usage.of(contender.processes()).since(before))
        self.rates[DRAIN, contender.name].append(self._tasks / (window.last_finished_at - window.first_started_at))

    def _end_to_end(self, contender: Contender) -> None:
        """Measure from the first submission to the last end, starting with idle workers."""
        contender.prepare(self._tasks)
        before = Usage.of(contender.processes())
        began_at = time.time()
        contender.submit()
        window = contender.wait()
        self._spent[END_TO_END, contender.name].append(Usage.of(contender.processes()).since(before))
        self.rates[END_TO_END, contender.name].append(self._tasks / (window.last_finished_at - began_at))

    def _idle_run(self, contender: Contender) -> None:
        contender.prepare(WARM_UP)
        contender.submit()
        contender.wait()
