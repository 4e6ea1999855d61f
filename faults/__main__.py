"""`python -m faults`: inject faults, check, print and write `faults/results.json`. Exit with 1 when a fault fails."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import UTC, datetime

from faults import report, scenarios
from faults.load.capacity import load_rate, measure_capacity
from faults.registry import FAULTS, Fault, run_fault
from faults.system.sandbox import running_servers
from faults.trial import TrialConfig
from taskcore.observability.logging import configure_logging
from taskcore.settings import LogSettings


def main() -> int:
    arguments = _arguments()
    scenarios.load()
    configure_logging(LogSettings(level="warning"))
    if arguments.list:
        print("\n".join(f"{fault.name:34} {fault.action}" for fault in FAULTS.values()))
        return 0
    chosen = _chosen(arguments.only)
    facts = {"at": datetime.now(UTC).isoformat(), "machine": f"{platform.platform()}, {os.cpu_count()} processors"}
    done: list[report.Result] = []
    with running_servers() as servers:
        per_s = arguments.capacity or measure_capacity(servers)
        print(f"capacity: {per_s:.0f} tasks/s; load: {load_rate(per_s):.0f} tasks/s", flush=True)
        for fault in chosen:
            done.append(run_fault(fault, servers, TrialConfig(load_rate(per_s))))
            print(report.format_result(done[-1]), flush=True)
            report.write_results(done, {**facts, "capacity_per_s": per_s, "load_per_s": load_rate(per_s)})
    missed = [row.name for row in done if not row.has_passed]
    print(f"{len(done) - len(missed)} of {len(done)} passed" + (f"; failed: {', '.join(missed)}" if missed else ""))
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description="Inject faults under load and check the results.")
    parser.add_argument("--only", default="", help="comma-separated names")
    parser.add_argument("--list", action="store_true", help="list the faults and exit")
    parser.add_argument("--capacity", type=float, help="capacity in tasks per second, instead of measuring it")
    return parser.parse_args()


def _chosen(only: str) -> list[Fault]:
    names = [name for name in only.split(",") if name] or list(FAULTS)
    if unknown := [name for name in names if name not in FAULTS]:
        sys.exit(f"make faults: no such fault: {', '.join(unknown)}; `make faults LIST=1` lists them")
    return [FAULTS[name] for name in names]


if __name__ == "__main__":
    sys.exit(main())
