"""Lost claims: the database says that a process holds an attempt, and the process says that it does not.

What counts is for how long a claim has been *seen* missing, not how old it is: its commit may take long, and then the
claim is old when it becomes visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taskcore.db.workers.leases import HeldAttempt
from taskcore.domain.tasks import AttemptKey

#: How long a claim may take to arrive in its process before it counts as lost.
ARRIVAL_GRACE_S = 5.0
#: Older reports of a process are not compared with the database.
MAX_REPORT_AGE_S = 3.0

#: The time of the report of a live process that has not reported yet.
NEVER_REPORTED = float("-inf")


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """The attempts that a process held, claimed and not settled, at the monotonic time `as_of`.

    `running`: how many attempts ran, in its threads and in processes of their own.
    """

    incarnation: int
    as_of: float
    attempts: frozenset[AttemptKey] = frozenset()
    running: int = 0

    def is_fresh(self, now: float) -> bool:
        return now - self.as_of < MAX_REPORT_AGE_S


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the attempts that the database and the processes hold differ at one moment."""

    missing: Sequence[HeldAttempt] = ()  # attempts that their process, or no process at all, does not hold
    unknown: Sequence[HeldAttempt] = ()  # attempts whose process has not reported lately
    surplus: Sequence[tuple[int, AttemptKey]] = ()  # what only processes hold: (incarnation, attempt)


def compare(held: Sequence[HeldAttempt], reports: Mapping[int, ProcessReport], now: float) -> Comparison:
    """Compare held attempts with the `reports`, one per live process, that were taken before `held` was read.

    An attempt whose process has no report is missing: its claim became visible after the process had died and its
    attempts were settled.
    """
    missing, unknown = [], []
    for attempt in held:
        report = reports.get(attempt.executor)
        if report is not None and not report.is_fresh(now):
            unknown.append(attempt)
        elif report is None or attempt.key not in report.attempts:
            missing.append(attempt)
    in_database = {attempt.key for attempt in held}
    fresh = [report for report in reports.values() if report.is_fresh(now)]
    surplus = [(report.incarnation, key) for report in fresh for key in report.attempts - in_database]
    return Comparison(missing, unknown, surplus)


class LostClaimDetector:
    """Keeps for how long claims have been missing; time in which their process did not report does not count."""

    def __init__(self) -> None:
        self._missing_s: dict[AttemptKey, float] = {}
        self._checked_at = 0.0

    def check(self, comparison: Comparison, now: float) -> list[HeldAttempt]:
        """Return those missing claims that count as lost."""
        before, elapsed_s, self._checked_at = self._missing_s, now - self._checked_at, now
        paused = {one.key: before[one.key] for one in comparison.unknown if one.key in before}
        counted = {one.key: before[one.key] + elapsed_s if one.key in before else 0.0 for one in comparison.missing}
        self._missing_s = paused | counted
        limit_s = ARRIVAL_GRACE_S + MAX_REPORT_AGE_S
        return [one for one in comparison.missing if counted[one.key] > limit_s]
