"""Schedules as users create and change them. `fires` has what happens to their times.

A transaction that moves a schedule's next time locks its row first (`fires.lock_schedule`), as one that fires it does.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
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
from taskcore.db.sql import bigint_param, timestamp_param

#: The columns that a change may set, besides those that follow from it.
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
_TIME_COLUMNS = ("anchor_at", "next_at")
_COLUMNS = (*UPDATABLE_COLUMNS, *_TIME_COLUMNS, "created_by", "created_at")


@cache
def read_clock() -> Executable:
    return select(func.now().label("moment"))


def create_schedule(**values: Any) -> Executable:
    """Create a schedule from the columns `_COLUMNS`. Returns its id, or no row if the name is taken."""
    statement = upsert(Schedule).values({name: values[name] for name in _COLUMNS})
    return statement.on_conflict_do_nothing(index_elements=[Schedule.name]).returning(Schedule.id)


@cache
def get_schedule() -> Executable:
    """Parameter: of (its id)."""
    return _schedules().where(Schedule.id == bigint_param("of"))


@cache
def list_schedules() -> Executable:
    """Schedules by id, after `after_id`, up to `most`."""
    return _schedules().where(Schedule.id > bigint_param("after_id")).order_by(Schedule.id).limit(bigint_param("most"))


@cache
def count_schedules() -> Executable:
    return select(func.count()).select_from(Schedule)


def update_schedule(schedule_id: int, **values: Any) -> Executable:
    """Set any of `UPDATABLE_COLUMNS`, `anchor_at` and `next_at`. A name that is taken violates the unique key."""
    return update(Schedule).where(Schedule.id == schedule_id).values(**values, changed_at=func.now())


@cache
def pause_schedule() -> Executable:
    """Pause a schedule. Returns its id, or no row if there is none. Parameters: of, why."""
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
    """Resume a schedule; its next time is `following`. Parameters: of, following."""
    return (
        update(Schedule)
        .where(Schedule.id == bigint_param("of"))
        .values(paused_at=null(), pause_reason=null(), next_at=timestamp_param("following"), changed_at=func.now())
    )


@cache
def delete_schedule() -> Executable:
    """Delete a schedule with its fires, but not its tasks. Parameter: of.

    Returns its id, or no row if there is none or if a service manages it.
    """
    is_free = Schedule.managed_by.is_(None)
    return delete(Schedule).where(Schedule.id == bigint_param("of"), is_free).returning(Schedule.id)


@cache
def list_fires() -> Executable:
    """What happened to its times before `until` (null: all), newest first, up to `most`. Parameter: of."""
    until = func.coalesce(timestamp_param("until"), literal_column("'infinity'::timestamptz"))
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
