"""The cost of tracing: end-to-end rates without it, with an accepting endpoint, and with an unresponsive one.

By default some tasks of each batch are traced, and up to a number of single submissions per second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.rounds import END_TO_END, Rounds
from bench.servers import Servers
from bench.taskcore_contender import BATCH, Taskcore
from bench.trace_endpoints import accepting_endpoint, unresponsive_endpoint

TRACES = "traces"
OFF = "off"
#: Single submissions are slower, so fewer of them take as long.
SINGLES_DIVISOR = 4
EVERY_TRACE = {"TASKCORE_TRACING__MAX_TRACES_PER_S": "1000000"}


@dataclass(frozen=True, slots=True)
class Case:
    submission: str
    endpoint: str
    batch: int
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.submission}, {self.endpoint}"


class TraceCosts:
    """Collects the rates of each case. Every case starts its own processes."""

    def __init__(self, servers: Servers, tasks: int) -> None:
        self._servers = servers
        self._tasks = tasks
        self.rates: dict[str, list[float]] = defaultdict(list)
        self._spent: dict[str, list[dict[str, float]]] = defaultdict(list)

    def run(self, rounds: int) -> None:
        with _cases() as cases:
            for number in range(rounds):
                for case in _rotated(cases, number):  # vary the order, so that no case is always first
                    self._measure(case)
                print(f"traces, round {number + 1}: {self._last()}", flush=True)

    def results(self) -> dict[str, Any]:
        """Return the median rates, and their ratios to the rate of the same submission mode without tracing."""
        rates = {name: median(rates) for name, rates in self.rates.items()}
        ratios = {
            f"{name} / off": rate / rates[f"{name.partition(',')[0]}, {OFF}"]
            for name, rate in rates.items()
            if not name.endswith(OFF)
        }
        spent = {name: _medians(runs) for name, runs in self._spent.items()}
        return {"traces": rates | ratios, "traces_rates": dict(self.rates), "traces_cpu_us_per_task": spent}

    def _measure(self, case: Case) -> None:
        tasks = self._tasks if case.batch > 1 else self._tasks // SINGLES_DIVISOR
        with Taskcore(self._servers, case.name, case.settings, batch=case.batch) as taskcore:
            rounds = Rounds([taskcore], tasks, [END_TO_END])
            rounds.run()
        self.rates[case.name] += rounds.rates[END_TO_END, case.name]
        self._spent[case.name].append(rounds.cpu_us_per_task(END_TO_END, case.name))

    def _last(self) -> str:
        return ", ".join(f"{name} {rates[-1]:,.0f}/s" for name, rates in self.rates.items())


@contextmanager
def _cases() -> Iterator[Sequence[Case]]:
    with accepting_endpoint() as accepting_url, unresponsive_endpoint() as unresponsive_url:
        accepting, unresponsive = (
            {"TASKCORE_TRACING__ENDPOINT": endpoint} for endpoint in (accepting_url, unresponsive_url)
        )
        yield [
            Case("batches", OFF, BATCH),
            Case("batches", "accepting", BATCH, accepting),
            Case("batches", "unresponsive", BATCH, unresponsive),
            Case("singles", OFF, 1),
            Case("singles", "accepting", 1, accepting),
            Case("singles", "unresponsive", 1, unresponsive),
            Case("singles", "accepting, every trace", 1, accepting | EVERY_TRACE),
            Case("singles", "unresponsive, every trace", 1, unresponsive | EVERY_TRACE),
        ]


def _medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {role: median(run.get(role, 0.0) for run in runs) for role in runs[0]}


def _rotated(cases: Sequence[Case], by: int) -> Sequence[Case]:
    start = by % len(cases)
    return [*cases[start:], *cases[:start]]
