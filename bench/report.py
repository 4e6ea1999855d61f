"""The results as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cpu import OTHER_PROCESSES

FILE = Path(__file__).parent / "results.json"

#: The targets on the machine of docs/performance.md.
TARGETS = {
    ("drain", "ratio"): ("at least", 0.7),
    ("end_to_end", "ratio"): ("at least", 1.0),
    ("submit", "batch_per_s"): ("at least", 10_000),
    ("start_latency_ms", "p50"): ("at most", 20),
    ("traces", "batches, unresponsive / off"): ("at least", 0.95),
    ("traces", "singles, unresponsive / off"): ("at least", 0.95),
}
_TITLES = {
    "drain": "drain, tasks/s",
    "end_to_end": "end to end, tasks/s",
    "submit": "submits",
    "start_latency_ms": "submit to start, ms",
    "traces": "traces",
}


def write_results(results: Mapping[str, Any]) -> None:
    FILE.write_text(json.dumps(results, indent=2) + "\n")


def format_table(results: Mapping[str, Any]) -> str:
    """Format the figures with their targets, and the CPU time by role."""
    lines = [f"{'':44}{'measured':>12}  target"]
    for section, title in _TITLES.items():
        for name, value in results.get(section, {}).items():
            lines.append(f"{title + ': ' + name:44}{_figure(value):>12}{_bar(section, name)}")
    for title, roles in results.get("cpu_us_per_task", {}).items():
        lines += ["", f"{'CPU time, ' + title:38}{'µs per task':>12}"]
        lines += [f"  {role:36}{spent:>12.0f}" for role, spent in _dearest_first(roles)]
    return "\n".join(lines)


def _dearest_first(roles: Mapping[str, float]) -> list[tuple[str, float]]:
    ranked = sorted(
        ((role, spent) for role, spent in roles.items() if role != OTHER_PROCESSES), key=lambda item: -item[1]
    )
    total = sum(spent for _, spent in ranked)
    return [
        *((role, spent) for role, spent in ranked if spent >= 0.5),
        ("all", total),
        (OTHER_PROCESSES, roles[OTHER_PROCESSES]),
    ]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _bar(section: str, name: str) -> str:
    if (section, name) not in TARGETS:
        return ""
    word, limit = TARGETS[section, name]
    return f"  {word} {limit:,}"
