"""Schedules that services manage: their times come from a setting, and users cannot change them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Executable, case, func, or_
from sqlalchemy.dialects.postgresql import insert as upsert

from taskcore.db.models import Schedule
from taskcore.db.sql import interval
from taskcore.domain.schedules import DEFAULT_CATCH_UP_LIMIT, CatchUp, Overlap


def ensure_managed_schedule(
    name: str,
    *,
    managed_by: str,
    every_s: float,
    task: Mapping[str, Any],
    description: str | None = None,
    run_at_start: bool = True,
) -> Executable:
    """Make sure that the schedule `name` exists with this interval and task (as for `POST /tasks`).

    Any number of copies may do so at once. Returns the id if something was created or changed; the caller then sends
    `notify.SCHEDULES`. A changed interval counts from now on, see `next_time_after_change`. A schedule of that name
    that is not managed by `managed_by` is left unchanged.
    """
    statement = upsert(Schedule).values(
        name=name,
        description=description,
        every_s=every_s,
        anchor_at=func.now(),
        timezone="UTC",
        jitter_s=0.0,
        overlap=Overlap.SKIP,
        catch_up=CatchUp.LAST,
        catch_up_limit=DEFAULT_CATCH_UP_LIMIT,
        run_at_start=run_at_start,
        task=dict(task),
        managed_by=managed_by,
        next_at=func.now() if run_at_start else func.now() + timedelta(seconds=every_s),
        created_by=managed_by,
    )
    differs = Schedule.every_s.is_distinct_from(statement.excluded.every_s)
    next_at = next_time_after_change(statement.excluded.every_s)
    return statement.on_conflict_do_update(
        index_elements=[Schedule.name],
        set_={
            "every_s": statement.excluded.every_s,
            "anchor_at": case((differs, next_at), else_=Schedule.anchor_at),
            "next_at": case((differs, next_at), else_=Schedule.next_at),
            "task": statement.excluded.task,
            "changed_at": func.now(),
        },
        where=(Schedule.managed_by == managed_by)
        & or_(differs, Schedule.task.is_distinct_from(statement.excluded.task)),
    ).returning(Schedule.id)


def next_time_after_change(every_s: ColumnElement[float]) -> ColumnElement[Any]:
    """The next time of a schedule whose interval becomes `every_s`: an interval after the last one, or now.

    The later of the two. It becomes `next_at` and `anchor_at`.
    """
    return func.greatest(Schedule.last_at + interval(every_s), func.now())
