"""What becomes of the times of a schedule that are due: decided here, from what is known, and nowhere else.

A time is dealt with once: it fires, is skipped, waits its turn, or is missed (given up, and only counted).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

#: A time that is not dealt with for longer than this is late: nobody was there to fire it.
LATENESS_TOLERANCE = timedelta(seconds=60)
DEFAULT_CATCH_UP_LIMIT = 100
MAX_CATCH_UP_LIMIT = 1_000
#: On each task that a schedule submits: the schedule's name.
SCHEDULE_LABEL = "taskcore.io/schedule"
#: Names of schedules that services keep for themselves begin so.
RESERVED_PREFIX = "taskcore."


class Overlap(StrEnum):
    """What becomes of a time while a task that the schedule submitted before is not over."""

    SKIP = "skip"  # no task for it
    QUEUE = "queue"  # it waits until that task is over
    ALLOW = "allow"  # it fires all the same


class CatchUp(StrEnum):
    """What becomes of times that are late."""

    NONE = "none"  # missed
    LAST = "last"  # the newest fires for all of them
    ALL = "all"  # each fires, oldest first


@dataclass(frozen=True, slots=True)
class DueTimes:
    """Times, oldest first. `earlier` counts those before them that nobody needs one by one."""

    times: tuple[datetime, ...] = ()
    earlier_count: int = 0


@dataclass(frozen=True, slots=True)
class FirePolicy:
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LAST
    limit: int = DEFAULT_CATCH_UP_LIMIT


@dataclass(frozen=True, slots=True)
class FirePlan:
    """Each time, oldest first, by what becomes of it. `dropped` had waited; `missed` counts them and all others."""

    fires: tuple[datetime, ...] = ()
    skips: tuple[datetime, ...] = ()
    waits: tuple[datetime, ...] = ()
    dropped: tuple[datetime, ...] = ()
    missed: int = 0


def plan_fires(
    due: DueTimes, waiting: Sequence[datetime], now: datetime, policy: FirePolicy, *, has_active_task: bool
) -> FirePlan:
    """What becomes of the times that are `due` and of those that are `waiting` for their turn.

    `is_busy`: a task that the schedule submitted before is not over.
    """
    caught_up = catch_up(due, now, policy)
    missed = due.earlier_count + len(due.times) - len(caught_up)
    times = (*waiting, *caught_up)
    match policy.overlap:
        case Overlap.ALLOW:
            return FirePlan(fires=times, missed=missed)
        case Overlap.SKIP:
            first = 0 if has_active_task else 1
            return FirePlan(fires=times[:first], skips=times[first:], missed=missed)
        case Overlap.QUEUE:
            first = 0 if has_active_task else 1
            rest = times[first:]
            excess = max(0, len(rest) - policy.limit)
            dropped = tuple(time for time in rest[:excess] if time in waiting)
            return FirePlan(times[:first], waits=rest[excess:], dropped=dropped, missed=missed + excess)


def catch_up(due: DueTimes, now: datetime, policy: FirePolicy) -> tuple[datetime, ...]:
    """Those of `due` that are not missed. As long as none is late, none is."""
    newest = due.times[-policy.limit :]
    in_time = tuple(time for time in newest if time >= now - LATENESS_TOLERANCE)
    if len(in_time) == len(due.times) + due.earlier_count:
        return in_time
    match policy.catch_up:
        case CatchUp.NONE:
            return in_time
        case CatchUp.LAST:
            return newest[-1:]
        case CatchUp.ALL:
            return newest


def jittered_run_at(schedule_id: int, due_at: datetime, jitter_s: float) -> datetime | None:
    """When the task for `due_at` is to run: up to `jitter_s` later, by a hash, so always the same. None: at once."""
    if not jitter_s:
        return None
    digest = hashlib.sha256(f"{schedule_id} {due_at.timestamp():.6f}".encode()).digest()
    share = int.from_bytes(digest[:6]) / 2**48
    return due_at + timedelta(seconds=jitter_s * share)
