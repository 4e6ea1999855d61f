"""Schedules, as people make and change them. What becomes of their times is `schedule_fires`' part.

Whoever moves a schedule's next time locks its row first (`schedule_fires.lock`), as whoever fires it does.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    DateTime,
    Executable,
    Select,
    Text,
    bindparam,
    delete,
    func,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from taskcore.db.models import Schedule, ScheduleFire
from taskcore.db.sql import bigint_param

#: What a change may set, besides what follows from it.
UPDATABLE_COLUMNS = (
    "name",
    "description",
    "cron",
    "every_s",
    "timezone",
    "jitter_s",
    "overlap",
    "catch_up",
    "catch_up_limit",
    "run_at_start",
    "task",
)
_TIMES = ("anchor_at", "next_at")
_MADE = (*UPDATABLE_COLUMNS, *_TIMES, "created_by", "created_at")


@cache
def read_clock() -> Executable:
    return select(func.now().label("moment"))


def create_schedule(**values: Any) -> Executable:
    """Make a schedule of `_MADE`. Answers its id; no row: there is one of that name."""
    made = upsert(Schedule).values({name: values[name] for name in _MADE})
    return made.on_conflict_do_nothing(index_elements=[Schedule.name]).returning(Schedule.id)


@cache
def get_schedule() -> Executable:
    """Parameter: of."""
    return _schedules().where(Schedule.id == bigint_param("of"))


@cache
def list_schedules() -> Executable:
    """By id, behind `after_id`, `most` of them."""
    return _schedules().where(Schedule.id > bigint_param("after_id")).order_by(Schedule.id).limit(bigint_param("most"))


@cache
def count_schedules() -> Executable:
    return select(func.count()).select_from(Schedule)


def update_schedule(schedule_id: int, **values: Any) -> Executable:
    """Set any of `CHANGEABLE`, `anchor_at` and `next_at`. A name that another has violates the key."""
    return update(Schedule).where(Schedule.id == schedule_id).values(**values, changed_at=func.now())


@cache
def pause_schedule() -> Executable:
    """Answers its id; no row: there is none. Parameters: of, why."""
    return (
        update(Schedule)
        .where(Schedule.id == bigint_param("of"))
        .values(
            paused_at=func.coalesce(Schedule.paused_at, func.now()),
            pause_reason=bindparam("why", type_=Text),
            changed_at=func.now(),
        )
        .returning(Schedule.id)
    )


@cache
def resume_schedule() -> Executable:
    """Go on at `following`. Parameters: of, following."""
    return (
        update(Schedule)
        .where(Schedule.id == bigint_param("of"))
        .values(paused_at=null(), pause_reason=null(), next_at=_time("following"), changed_at=func.now())
    )


@cache
def delete_schedule() -> Executable:
    """With its fires, not with its tasks. Answers its id; no row: there is none, or a service keeps it.

    Parameter: of.
    """
    is_free = Schedule.managed_by.is_(None)
    return delete(Schedule).where(Schedule.id == bigint_param("of"), is_free).returning(Schedule.id)


@cache
def list_fires() -> Executable:
    """What became of its times before `until` (NULL: all), newest first, `most` of them. Parameter: of."""
    until = func.coalesce(_time("until"), literal_column("'infinity'::timestamptz"))
    return (
        select(*ScheduleFire.__table__.c)
        .where(ScheduleFire.schedule_id == bigint_param("of"), ScheduleFire.due_at < until)
        .order_by(ScheduleFire.due_at.desc())
        .limit(bigint_param("most"))
    )


def _schedules() -> Select[Any]:
    last_task_id = (
        select(ScheduleFire.task_id)
        .where(ScheduleFire.schedule_id == Schedule.id, ScheduleFire.task_id.is_not(None))
        .order_by(ScheduleFire.due_at.desc())
        .limit(1)
        .correlate(Schedule)
        .scalar_subquery()
    )
    return select(*Schedule.__table__.c, last_task_id.label("last_task_id"))


def _time(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=DateTime(timezone=True))
