"""`python -m bench`: measure, print, write `bench/results.json`."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import median
from typing import Any

import psutil

from bench import report, submits
from bench.dramatiq_contender import BareDramatiq
from bench.rounds import DRAIN, END_TO_END, Rounds
from bench.servers import Servers, running_servers
from bench.taskcore_contender import Taskcore
from bench.tracing import TRACES, TraceCosts

MEASUREMENTS = (DRAIN, END_TO_END, "submit", "latency", TRACES)


def main() -> None:
    arguments = _arguments()
    what: Collection[str] = arguments.only or MEASUREMENTS
    results: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "machine": _machine(), "runs": arguments.runs}
    with running_servers() as servers:
        if set(what) - {TRACES}:
            with Taskcore(servers) as taskcore:
                results |= _measured(servers, taskcore, arguments, what)
        if TRACES in what:
            traces = TraceCosts(servers, arguments.tasks)
            traces.run(arguments.runs)
            results |= traces.results()
    report.write_results(results)
    print(report.format_table(results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Benchmark Taskcore and bare Dramatiq.")
    parser.add_argument("--runs", type=int, default=5, help="number of rounds; the medians are reported [default: 5]")
    parser.add_argument("--tasks", type=int, default=20_000, help="tasks per round [default: 20000]")
    parser.add_argument("--seconds", type=float, default=20, help="duration of the latency measurement [default: 20]")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="measure only this; may be repeated")
    return parser.parse_args()


def _measured(
    servers: Servers, taskcore: Taskcore, arguments: argparse.Namespace, what: Collection[str]
) -> dict[str, Any]:
    results: dict[str, Any] = {}
    rounds = Rounds([BareDramatiq(servers), taskcore], arguments.tasks, what)
    rounds.warm_up()
    if {DRAIN, END_TO_END} & set(what):
        for number in range(arguments.runs):
            rounds.run()
            print(f"round {number + 1}: {_last(rounds)}", flush=True)
        results |= _compared(rounds, what)
    if "latency" in what:
        results["start_latency_ms"] = _latencies(taskcore, arguments.seconds)
    if "submit" in what:
        results["submit"] = _submits(taskcore, arguments)
    return results


def _compared(rounds: Rounds, what: Collection[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in (DRAIN, END_TO_END):
        if kind in what:
            bare, ours = (median(rounds.rates[kind, contender]) for contender in ("dramatiq", "taskcore"))
            found[kind] = {"dramatiq": bare, "taskcore": ours, "ratio": ours / bare}
    found["rates"] = {f"{kind}, {contender}": rates for (kind, contender), rates in rounds.rates.items()}
    found["cpu_us_per_task"] = {
        f"{kind}, {contender}": rounds.cpu_us_per_task(kind, contender) for kind, contender in rounds.rates
    }
    return found


def _latencies(taskcore: Taskcore, seconds: float) -> dict[str, float]:
    taskcore.start_workers()
    submits.start_latencies_ms(taskcore, 2)  # until the workers have started
    latencies = submits.start_latencies_ms(taskcore, seconds)
    taskcore.stop_workers()
    return asdict(latencies)


def _submits(taskcore: Taskcore, arguments: argparse.Namespace) -> dict[str, float]:
    return {
        "single_per_s": median(submits.single_per_s(taskcore) for _ in range(arguments.runs)),
        "batch_per_s": median(submits.batch_per_s(taskcore, arguments.tasks) for _ in range(arguments.runs)),
    }


def _last(rounds: Rounds) -> str:
    return ", ".join(f"{kind} {contender} {rates[-1]:,.0f}/s" for (kind, contender), rates in rounds.rates.items())


def _machine() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
    }


if __name__ == "__main__":
    main()
