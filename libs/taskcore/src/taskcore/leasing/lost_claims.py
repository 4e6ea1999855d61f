"""Claims that went astray: the database says that a process holds them, and the process says that it does not.

How long a claim has been *seen* so is what counts, never how old it is: the commit of a claim may take long, and then
it is old at the moment in which it can first be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: A claim is given this long to arrive in its process before it counts as lost on the way.
ARRIVAL_GRACE_S = 5.0
#: How old a process's report may be to be compared with the database.
MAX_REPORT_AGE_S = 3.0


#: When a process that lives, and has said nothing yet, said it.
NEVER_REPORTED = float("-inf")


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """What one process says that it holds: (task id, attempt), as of a moment of the monotonic clock."""

    incarnation: int
    as_of: float
    attempts: frozenset[tuple[int, int]] = frozenset()


class LostClaimDetector:
    """For how long which claims have been missing, while their processes could be heard."""

    def __init__(self) -> None:
        self._for_s: dict[tuple[int, int], float] = {}
        self._looked_at = 0.0

    def check(self, rows: Sequence[Any], reports: Mapping[int, ProcessReport], now: float) -> list[Any]:
        """Compare `rows` (id, attempt, executor), read after `reports`, which are there for each process that lives.

        Answers those that are astray. A claim may show only when its process is dead and what that held was settled.
        """
        before, since_s, self._looked_at = self._for_s, now - self._looked_at, now
        self._for_s, missing = {}, []
        for row in rows:
            key, report = (row.id, row.attempt), reports.get(row.executor)
            if report is not None and now - report.as_of >= MAX_REPORT_AGE_S:
                self._for_s |= {key: before[key]} if key in before else {}
            elif report is None or key not in report.attempts:
                self._for_s[key] = before[key] + since_s if key in before else 0.0
                missing.append(row)
        return [row for row in missing if self._for_s[row.id, row.attempt] > ARRIVAL_GRACE_S + MAX_REPORT_AGE_S]
