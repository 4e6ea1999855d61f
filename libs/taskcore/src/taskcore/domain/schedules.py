"""What happens to the due times of a schedule. Every decision about them is made here.

Each time is processed once: it fires, is skipped, waits its turn, or is missed (dropped and only counted).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

#: A time that is processed later than this is late: no coordinator was running to fire it.
LATENESS_TOLERANCE = timedelta(seconds=60)
DEFAULT_CATCH_UP_LIMIT = 100
MAX_CATCH_UP_LIMIT = 1_000
#: The label of every task that a schedule submits; its value is the schedule's name.
SCHEDULE_LABEL = "taskcore.io/schedule"
#: The prefix of the names of schedules that services manage.
RESERVED_PREFIX = "taskcore."


class Overlap(StrEnum):
    """What happens to a time while an earlier task of the schedule is unfinished."""

    SKIP = "skip"  # no task for this time
    QUEUE = "queue"  # the time waits until that task has finished
    ALLOW = "allow"  # the time fires anyway


class CatchUp(StrEnum):
    """What happens to times that are late."""

    NONE = "none"  # missed
    LAST = "last"  # the newest one fires, on behalf of all
    ALL = "all"  # each fires, oldest first


@dataclass(frozen=True, slots=True)
class DueTimes:
    """Times, oldest first. `earlier_count` counts the times before them that need not be listed."""

    times: tuple[datetime, ...] = ()
    earlier_count: int = 0


@dataclass(frozen=True, slots=True)
class FirePolicy:
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LAST
    limit: int = DEFAULT_CATCH_UP_LIMIT


@dataclass(frozen=True, slots=True)
class FirePlan:
    """What happens to each time, oldest first. `dropped` times had been waiting; `missed` counts them and the rest."""

    fires: tuple[datetime, ...] = ()
    skips: tuple[datetime, ...] = ()
    waits: tuple[datetime, ...] = ()
    dropped: tuple[datetime, ...] = ()
    missed: int = 0


def plan_fires(
    due: DueTimes, waiting: Sequence[datetime], now: datetime, policy: FirePolicy, *, has_active_task: bool
) -> FirePlan:
    """Decide what happens to the times in `due`, and to the `waiting` ones.

    `has_active_task`: an earlier task of the schedule is unfinished.
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
    """Return the due times to fire. When nothing is late, all of them."""
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
    """Return when the task for `due_at` runs: up to `jitter_s` later, by a hash, so always the same. None: at once."""
    if not jitter_s:
        return None
    digest = hashlib.sha256(f"{schedule_id} {due_at.timestamp():.6f}".encode()).digest()
    share = int.from_bytes(digest[:6]) / 2**48
    return due_at + timedelta(seconds=jitter_s * share)
