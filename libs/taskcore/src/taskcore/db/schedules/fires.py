"""Firing schedules: which are due, and, while a schedule's row is locked, what happened to its times.

The holder of the lock decides alone; the key of `schedule_fire` backs that up. `moment` is the time that counts as now;
null: the database's clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Executable,
    Float,
    ScalarSelect,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal_column,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.expression import SQLColumnExpression

from taskcore.db.models import Schedule, ScheduleFire, Task
from taskcore.db.sql import bigint_param, bigints_param, recordset, seconds_param, status_in_unindexed
from taskcore.domain.schedules import CatchUp, Overlap
from taskcore.domain.states import TERMINAL

BATCH = 100
#: Unfinished tasks are looked for among this many of the tasks that the schedule submitted last.
RECENT_TASKS = 100
#: This many fires of each schedule are kept, however old they are.
KEPT_FIRES = 100
PRUNE_BATCH = 1_000

_TIME = DateTime(timezone=True)


@dataclass(frozen=True, slots=True)
class LockedSchedule:
    """A schedule whose row is locked. `moment` is the time that counts as now."""

    id: int
    name: str
    cron: str | None
    every_s: float | None
    anchor_at: datetime
    timezone: str
    jitter_s: float
    overlap: Overlap
    catch_up: CatchUp
    catch_up_limit: int
    task: dict[str, Any]
    next_at: datetime | None
    moment: datetime

    @classmethod
    def from_row(cls, row: Any) -> LockedSchedule:
        """Convert a row of `try_lock_schedule` or `lock_schedule`."""
        values = {field.name: getattr(row, field.name) for field in fields(cls)}
        return cls(**values | {"overlap": Overlap(row.overlap), "catch_up": CatchUp(row.catch_up)})


class FireState(NamedTuple):
    """A row of `fire_state`."""

    busy: int | None
    waiting: list[datetime]
    taken: list[datetime]


@cache
def due_schedules() -> Executable:
    """The next `BATCH` schedules by time, and those with waiting times, as (id, wait_s), soonest first.

    `wait_s` is how long until there is something to do (at most 0 if there is now); null: until a task finishes.
    Parameters: moment, and but: ids of schedules to leave out.
    """
    soonest = (
        select(Schedule.id, func.extract("epoch", Schedule.next_at - _moment()).cast(Float).label("wait_s"))
        .where(
            Schedule.paused_at.is_(None), Schedule.next_at.is_not(None), Schedule.id != func.all(bigints_param("but"))
        )
        .order_by(Schedule.next_at)
        .limit(BATCH)
        .cte("soonest")
    )
    queued = select(ScheduleFire.schedule_id).where(ScheduleFire.waits).distinct().cte("queued")
    waiting = (
        select(Schedule.id, case((_unfinished_task(Schedule.id).is_(None), literal_column("0"))))
        .join(queued, queued.c.schedule_id == Schedule.id)
        .where(Schedule.paused_at.is_(None), Schedule.id != func.all(bigints_param("but")))
    )
    both = union_all(select(soonest.c.id, soonest.c.wait_s), waiting).subquery("both")
    return select(both.c.id, both.c.wait_s).order_by(both.c.wait_s)


@cache
def try_lock_schedule() -> Executable:
    """Lock the schedule `of`, unless it is paused or another coordinator has locked it.

    Returns it with `moment`, or no row.

    Parameters: of, moment.
    """
    unpaused = select(*Schedule.__table__.c, _moment().label("moment")).where(
        Schedule.id == bigint_param("of"), Schedule.paused_at.is_(None)
    )
    return unpaused.with_for_update(skip_locked=True)


@cache
def lock_schedule() -> Executable:
    """Lock the schedule `of`, paused or not, and return it with the time after that as `moment`."""
    moment = func.clock_timestamp().label("moment")
    return select(*Schedule.__table__.c, moment).where(Schedule.id == bigint_param("of")).with_for_update()


@cache
def fire_state() -> Executable:
    """The `FireState` of the locked schedule `of`.

    `busy` is an unfinished task of it, `waiting` are its waiting times, and `taken` those of the parameter `times` that
    were processed before.
    """
    of = ScheduleFire.schedule_id == bigint_param("of")
    return select(
        _unfinished_task(bigint_param("of")).label("busy"),
        _due_times(of & ScheduleFire.waits).label("waiting"),
        _due_times(of & (ScheduleFire.due_at == func.any(_times()))).label("taken"),
    )


@cache
def record_fires() -> Executable:
    """Store what happened to the times in `rows`, see `fire_rows`. Returns those that had not been processed before."""
    given = recordset("given", due=_TIME, submitted=BigInteger, is_waiting=Boolean)
    fires = upsert(ScheduleFire).from_select(
        ["schedule_id", "due_at", "task_id", "waits"],
        select(bigint_param("of"), given.c.due, given.c.submitted, given.c.is_waiting),
    )
    return fires.on_conflict_do_update(
        index_elements=[ScheduleFire.schedule_id, ScheduleFire.due_at],
        set_={"task_id": fires.excluded.task_id, "waits": fires.excluded.waits, "at": func.now()},
        where=ScheduleFire.waits.is_(True),
    ).returning(ScheduleFire.due_at)


def fire_rows(
    fired: Iterable[tuple[datetime, int]], skips: Iterable[datetime] = (), waits: Iterable[datetime] = ()
) -> str:
    """Return the parameter `rows` of `record_fires`: times with their tasks, and times without one."""
    rows: list[dict[str, Any]] = [{"due": at, "submitted": task, "is_waiting": False} for at, task in fired]
    rows += [{"due": at, "submitted": None, "is_waiting": False} for at in skips]
    rows += [{"due": at, "submitted": None, "is_waiting": True} for at in waits]
    return msgspec.json.encode(rows).decode()


@cache
def delete_waiting() -> Executable:
    """Delete the waiting ones of `times`. Parameters: of, times."""
    waits = (ScheduleFire.schedule_id == bigint_param("of")) & ScheduleFire.waits
    return delete(ScheduleFire).where(waits, ScheduleFire.due_at == func.any(_times()))


@cache
def advance_schedule() -> Executable:
    """Mark everything before `following` as processed.

    Parameters: of, following, fired (the last time stored), more_missed.
    """
    return (
        update(Schedule)
        .where(Schedule.id == bigint_param("of"))
        .values(
            next_at=bindparam("following", type_=_TIME),
            last_at=func.greatest(Schedule.last_at, bindparam("fired", type_=_TIME)),
            missed=Schedule.missed + bigint_param("more_missed"),
        )
    )


@cache
def delete_old_fires() -> Executable:
    """Delete fires older than `after_s` seconds, except the `KEPT_FIRES` newest of each schedule.

    Returns up to `PRUNE_BATCH` rows; repeat while it returns that many.
    """
    newer = (
        select(ScheduleFire.due_at)
        .where(ScheduleFire.schedule_id == Schedule.id)
        .order_by(ScheduleFire.due_at.desc())
        .offset(KEPT_FIRES - 1)
        .limit(1)
        .correlate(Schedule)
        .scalar_subquery()
    )
    is_unfinished = (
        select(Task.id).where(Task.id == ScheduleFire.task_id, ~status_in_unindexed(Task.status, TERMINAL)).exists()
    )
    old = (
        select(ScheduleFire.schedule_id, ScheduleFire.due_at)
        .join(Schedule, Schedule.id == ScheduleFire.schedule_id)
        .where(ScheduleFire.due_at < func.now() - seconds_param("after_s"), ScheduleFire.due_at < newer)
        .where(~ScheduleFire.waits, ~is_unfinished)
        .limit(PRUNE_BATCH)
        .cte("old")
    )
    key = tuple_(ScheduleFire.schedule_id, ScheduleFire.due_at)
    return delete(ScheduleFire).where(key.in_(select(old))).returning(ScheduleFire.schedule_id)


def _unfinished_task(of: SQLColumnExpression[int]) -> ScalarSelect[int | None]:
    recent = (
        select(ScheduleFire.task_id)
        .where(ScheduleFire.schedule_id == of, ScheduleFire.task_id.is_not(None))
        .order_by(ScheduleFire.due_at.desc())
        .limit(RECENT_TASKS)
        .correlate(Schedule)
    )
    return (
        select(func.max(Task.id))
        .where(Task.id.in_(recent), ~status_in_unindexed(Task.status, TERMINAL))
        .correlate(Schedule)
        .scalar_subquery()
    )


def _due_times(which: ColumnElement[bool]) -> ScalarSelect[Any]:
    """The due times of the fires that match, oldest first."""
    times = select(ScheduleFire.due_at).where(which).order_by(ScheduleFire.due_at)
    return select(func.array(times.scalar_subquery())).scalar_subquery()


def _moment() -> ColumnElement[datetime]:
    return func.coalesce(cast(bindparam("moment", type_=_TIME), _TIME), func.now())


def _times() -> ColumnElement[Any]:
    return bindparam("times", type_=ARRAY(_TIME))
