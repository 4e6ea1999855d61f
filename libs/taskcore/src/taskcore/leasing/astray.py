"""Claims that went astray: the database says that a process holds them, and the process says that it does not.

How long a claim has been *seen* so is what counts, never how old it is: the commit of a claim may take long, and then
it is old at the moment in which it can first be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: A claim is given this long to arrive in its process before it counts as lost on the way.
ARRIVAL_S = 5.0
#: How old a process's report may be to be compared with the database.
FRESH_S = 3.0


@dataclass(frozen=True, slots=True)
class Held:
    """What one process says that it holds: (task id, attempt), as of a moment of the monotonic clock."""

    incarnation: int
    as_of: float
    attempts: frozenset[tuple[int, int]]


class Missing:
    """Since when which claims have been missing from the reports of their processes."""

    def __init__(self) -> None:
        self._since: dict[tuple[int, int], float] = {}

    def look(self, rows: Sequence[Any], reports: Mapping[int, Held], now: float) -> list[Any]:
        """Compare `rows` (id, attempt, executor), read after `reports` were made. Answers those that are astray."""
        missing = {(row.id, row.attempt): row for row in rows if _is_missing(row, reports.get(row.executor), now)}
        self._since = {key: self._since.get(key, now) for key in missing}
        return [row for key, row in missing.items() if now - self._since[key] > ARRIVAL_S + FRESH_S]


def _is_missing(row: Any, report: Held | None, now: float) -> bool:
    if report is None or now - report.as_of >= FRESH_S:
        return False
    return (row.id, row.attempt) not in report.attempts
