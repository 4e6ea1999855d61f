"""Making, changing and deleting schedules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from litestar import Request, Response, delete, patch, post
from litestar.di import NamedDependency
from msgspec import UNSET
from psycopg.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError

from taskapi.http.parameters import User, actor, problem_responses
from taskapi.http.request_body import decode, read_json_body
from taskapi.runtime.services import Services
from taskapi.schedules import schemas
from taskapi.schedules.parameters import ScheduleId
from taskapi.schedules.problems import schedule_exists, schedule_managed, schedule_not_found
from taskapi.schedules.queries import database_now, fetch_schedule, fetch_schedule_row
from taskapi.schedules.validation import check_schedule, parse_recurrence, times
from taskcore.db.notify import SCHEDULES
from taskcore.db.schedules import fires, schedules
from taskcore.domain.tasks import MAX_TASK_BYTES

_SUBMISSION = msgspec.json.Decoder(schemas.ScheduleSubmission)
_CHANGE = msgspec.json.Decoder(schemas.ScheduleChange)


@post(
    "/schedules",
    operation_id="create_schedule",
    summary="Make a schedule",
    tags=["schedules"],
    request_max_body_size=MAX_TASK_BYTES,
    response_description="Made.",
    responses=problem_responses(409, 413, 415),
)
async def create_schedule(
    request: Request[Any, Any, Any], services: NamedDependency[Services], user: User = None
) -> Response[schemas.Schedule]:
    """Its task is checked as one that is submitted. Names are unique."""
    asked = decode(await read_json_body(request), _SUBMISSION)
    await check_schedule(services, asked)
    now = await database_now(services)
    found = times(asked, now)
    values = {name: getattr(asked, name) for name in schedules.UPDATABLE_COLUMNS if name != "task"}
    next_at = now if asked.run_at_start else found.after(now)
    made = schedules.create_schedule(
        **values,
        task=msgspec.to_builtins(asked.task),
        anchor_at=now,
        next_at=next_at,
        created_by=actor(user),
        created_at=now,
    )
    rows = await services.database.write(made)
    if not rows:
        raise schedule_exists(asked.name)
    services.notifier.notify(SCHEDULES)
    answer = await fetch_schedule(services, rows[0].id)
    return Response(answer, headers={"Location": f"/api/v1/schedules/{answer.id}"})


@patch(
    "/schedules/{schedule_id:int}",
    operation_id="change_schedule",
    summary="Change a schedule",
    tags=["schedules"],
    request_max_body_size=MAX_TASK_BYTES,
    responses=problem_responses(404, 409, 413, 415),
)
async def change_schedule(
    request: Request[Any, Any, Any], services: NamedDependency[Services], schedule_id: ScheduleId
) -> schemas.Schedule:
    """At once: a changed interval counts from the last time, a changed cron line or time zone from now."""
    asked = decode(await read_json_body(request), _CHANGE)
    await check_schedule(services, asked)
    try:
        await _change(services, schedule_id, asked)
    except IntegrityError as exc:
        if isinstance(exc.orig, UniqueViolation):
            raise schedule_exists(str(asked.name)) from exc
        raise
    services.notifier.notify(SCHEDULES)
    return await fetch_schedule(services, schedule_id)


@delete(
    "/schedules/{schedule_id:int}",
    operation_id="delete_schedule",
    summary="Delete a schedule",
    tags=["schedules"],
    responses=problem_responses(404, 409),
)
async def delete_schedule(services: NamedDependency[Services], schedule_id: ScheduleId) -> None:
    """The tasks that it submitted stay."""
    if not await services.database.write(schedules.delete_schedule(), {"of": schedule_id}):
        raise schedule_managed(await fetch_schedule_row(services, schedule_id))
    services.notifier.notify(SCHEDULES)


async def _change(services: Services, schedule_id: int, asked: schemas.ScheduleChange) -> None:
    async with services.database.transaction() as connection:
        row = (await connection.execute(fires.lock_schedule(), {"of": schedule_id})).first()
        if row is None:
            raise schedule_not_found(schedule_id)
        if row.managed_by is not None:
            raise schedule_managed(row)
        values = _values(asked)
        values |= _following(row, values)
        await connection.execute(schedules.update_schedule(schedule_id, **values))


def _values(asked: schemas.ScheduleChange) -> dict[str, Any]:
    """The columns that are given. One way of telling times takes the place of the other."""
    given = {name: value for name in schedules.UPDATABLE_COLUMNS if (value := getattr(asked, name)) is not UNSET}
    if "task" in given:
        given["task"] = msgspec.to_builtins(given["task"])
    for one, other in (("cron", "every_s"), ("every_s", "cron")):
        if given.get(one) is not None:
            given.setdefault(other, None)
    return given


def _following(row: Any, values: dict[str, Any]) -> dict[str, Any]:
    """The next time, if `values` change how times are told, and what an interval counts from. Raises `Refused`."""
    cron, every_s, timezone = (values.get(name, getattr(row, name)) for name in ("cron", "every_s", "timezone"))
    found = parse_recurrence(cron, every_s, timezone, row.anchor_at)
    if every_s is not None:
        if every_s == row.every_s:
            return {}
        next_at = max((row.last_at or row.created_at) + timedelta(seconds=every_s), row.moment)
        return {"next_at": next_at, "anchor_at": next_at}
    if (cron, timezone) == (row.cron, row.timezone):
        return {}
    return {"next_at": found.after(row.moment)}
