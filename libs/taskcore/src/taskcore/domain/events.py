"""What Taskcore itself says about a cluster's events."""

from __future__ import annotations

from enum import StrEnum

#: `resolved_by` of an alert that had no event for too long.
INACTIVITY = "inactivity"


class GapKind(StrEnum):
    """Why events are missing."""

    LOST = "lost"  # they may have happened while the cluster was not watched, or were gone when it was
    RATE_LIMITED = "rate_limited"  # there were too many of a reason in a minute: only their number was stored
