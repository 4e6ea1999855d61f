"""Lost claims: the database says that a process holds an attempt, and the process says that it does not.

What counts is for how long a claim has been *seen* missing, not how old it is: its commit may take long, and then the
claim is old when it becomes visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: How long a claim may take to arrive in its process before it counts as lost.
ARRIVAL_GRACE_S = 5.0
#: Older reports of a process are not compared with the database.
MAX_REPORT_AGE_S = 3.0

#: The time of the report of a live process that has not reported yet.
NEVER_REPORTED = float("-inf")

AttemptKey = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """The attempts, as (task id, attempt), that a process held at the monotonic time `as_of`."""

    incarnation: int
    as_of: float
    attempts: frozenset[AttemptKey] = frozenset()

    def is_fresh(self, now: float) -> bool:
        return now - self.as_of < MAX_REPORT_AGE_S


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the attempts that the database and the processes hold differ at one moment."""

    missing: Sequence[Any] = ()  # rows of attempts that their process, or no process at all, does not hold
    unknown: Sequence[Any] = ()  # rows of attempts whose process has not reported lately
    surplus: Sequence[tuple[int, AttemptKey]] = ()  # what only processes hold: (incarnation, attempt)


def compare(held: Sequence[Any], reports: Mapping[int, ProcessReport], now: float) -> Comparison:
    """Compare rows of held attempts with the `reports`, one per live process, that were taken before `held` was read.

    An attempt whose process has no report is missing: its claim became visible after the process had died and its
    attempts were settled.
    """
    missing, unknown = [], []
    for row in held:
        report = reports.get(row.executor)
        if report is not None and not report.is_fresh(now):
            unknown.append(row)
        elif report is None or _key(row) not in report.attempts:
            missing.append(row)
    in_database = {_key(row) for row in held}
    fresh = [report for report in reports.values() if report.is_fresh(now)]
    surplus = [(report.incarnation, key) for report in fresh for key in report.attempts - in_database]
    return Comparison(missing, unknown, surplus)


class LostClaimDetector:
    """Keeps for how long claims have been missing; time in which their process did not report does not count."""

    def __init__(self) -> None:
        self._missing_s: dict[AttemptKey, float] = {}
        self._checked_at = 0.0

    def check(self, comparison: Comparison, now: float) -> list[Any]:
        """Return the rows of those missing claims that count as lost."""
        before, elapsed_s, self._checked_at = self._missing_s, now - self._checked_at, now
        paused = {key: before[key] for row in comparison.unknown if (key := _key(row)) in before}
        missing = map(_key, comparison.missing)
        counted = {key: before[key] + elapsed_s if key in before else 0.0 for key in missing}
        self._missing_s = paused | counted
        limit_s = ARRIVAL_GRACE_S + MAX_REPORT_AGE_S
        return [row for row in comparison.missing if counted[_key(row)] > limit_s]


def _key(row: Any) -> AttemptKey:
    return row.id, row.attempt
