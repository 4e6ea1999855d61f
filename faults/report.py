"""The results of all faults, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "results.json"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one fault. `reruns`: attempts repeated outside the retry policy, by the outcome of the first.

    `machine_load`: how many wanted a processor; where that is far more than there are, seconds say little.
    """

    name: str
    action: str
    criterion: str
    submitted: int
    accepted: int
    lost: int
    reruns: Mapping[str, int]
    recovered_s: float | None
    figures: Mapping[str, float | str]
    failures: Sequence[str]
    took_s: float
    machine_load: float

    @property
    def has_passed(self) -> bool:
        return not self.failures


def format_result(row: Result) -> str:
    reruns = ", ".join(f"{count} {outcome}" for outcome, count in row.reruns.items()) or "0"
    recovered = "-" if row.recovered_s is None else f"{row.recovered_s:.1f} s"
    lines = [
        f"{'pass' if row.has_passed else 'FAIL'}  {row.name}: {row.action} "
        f"({row.took_s:.0f} s, machine load {row.machine_load:.1f})",
        f"      submitted {row.submitted}, accepted {row.accepted}, lost {row.lost}, rerun: {reruns}, "
        f"recovered: {recovered}",
    ]
    if row.figures:
        lines.append("      " + "; ".join(f"{name}: {value}" for name, value in row.figures.items()))
    if not row.has_passed:
        lines += [f"      criterion: {row.criterion}", *(f"      failed: {failure}" for failure in row.failures)]
    return "\n".join(lines)


def write_results(rows: Sequence[Result], facts: Mapping[str, Any]) -> None:
    found = {**facts, "faults": [asdict(row) | {"has_passed": row.has_passed} for row in rows]}
    FILE.write_text(json.dumps(found, indent=2) + "\n")
