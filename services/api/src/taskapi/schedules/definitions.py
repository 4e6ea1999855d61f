"""Creating, changing and deleting schedules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from litestar import Response, delete, patch, post
from msgspec import UNSET
from psycopg.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError

from taskapi.http.parameters import HttpRequest, User, actor, location, problem_responses
from taskapi.http.problems import ProblemError, not_found
from taskapi.http.request_body import JsonBody
from taskapi.runtime.services import AppServices, Services
from taskapi.schedules import schemas
from taskapi.schedules.queries import ScheduleId, database_now, fetch_schedule, fetch_schedule_row
from taskapi.schedules.validation import check_schedule, parse_recurrence
from taskapi.schemas.problems import Problem, ProblemCode
from taskcore.db.notify import SCHEDULES
from taskcore.db.schedules import fires, schedules
from taskcore.domain.tasks import MAX_TASK_BYTES

_NIGHTLY = {"name": "nightly", "cron": "30 2 * * *", "timezone": "Europe/Berlin", "task": {"type": "noop"}}
_SUBMISSION = JsonBody(schemas.ScheduleSubmission, _NIGHTLY, MAX_TASK_BYTES)
_CHANGE = JsonBody(schemas.ScheduleChange, {"every_s": 600, "overlap": "queue"}, MAX_TASK_BYTES)


@post(
    "/schedules",
    summary="Create a schedule",
    response_description="The schedule was created.",
    response_headers=[location("schedule")],
    responses=problem_responses(409, 413, 415),
    **_SUBMISSION.options,
)
async def create_schedule(request: HttpRequest, services: AppServices, user: User = None) -> Response[schemas.Schedule]:
    """Create a schedule. Its name must be unique, and its task is checked like a submitted one."""
    submission = await _SUBMISSION.read(request)
    await check_schedule(services, submission)
    now = await database_now(services)
    recurrence = parse_recurrence(submission.cron, submission.every_s, submission.timezone, now)
    values = {name: getattr(submission, name) for name in schedules.UPDATABLE_COLUMNS if name != "task"}
    next_at = now if submission.run_at_start else recurrence.after(now)
    statement = schedules.create_schedule(
        **values,
        task=msgspec.to_builtins(submission.task),
        anchor_at=now,
        next_at=next_at,
        created_by=actor(user),
        created_at=now,
    )
    rows = await services.database.write(statement)
    if not rows:
        raise _name_taken(submission.name)
    services.notifier.notify(SCHEDULES)
    answer = await fetch_schedule(services, rows[0].id)
    return Response(answer, headers={"Location": f"/api/v1/schedules/{answer.id}"})


@patch(
    "/schedules/{schedule_id:int}",
    summary="Change a schedule",
    responses=problem_responses(404, 409, 413, 415),
    **_CHANGE.options,
)
async def change_schedule(request: HttpRequest, services: AppServices, schedule_id: ScheduleId) -> schemas.Schedule:
    """Change a schedule. A new interval counts from its last time, a new cron line or time zone applies from now."""
    change = await _CHANGE.read(request)
    await check_schedule(services, change)
    try:
        await _apply(services, schedule_id, change)
    except IntegrityError as exc:
        if isinstance(exc.orig, UniqueViolation):
            raise _name_taken(str(change.name)) from exc
        raise
    services.notifier.notify(SCHEDULES)
    return await fetch_schedule(services, schedule_id)


@delete("/schedules/{schedule_id:int}", summary="Delete a schedule", responses=problem_responses(404, 409))
async def delete_schedule(services: AppServices, schedule_id: ScheduleId) -> None:
    """Delete a schedule. The tasks that it submitted stay."""
    if not await services.database.write(schedules.delete_schedule(), {"of": schedule_id}):
        raise _managed(await fetch_schedule_row(services, schedule_id))
    services.notifier.notify(SCHEDULES)


async def _apply(services: Services, schedule_id: int, change: schemas.ScheduleChange) -> None:
    async with services.database.transaction() as connection:
        row = (await connection.execute(fires.lock_schedule(), {"of": schedule_id})).first()
        if row is None:
            raise not_found(ProblemCode.SCHEDULE_NOT_FOUND, schedule_id)
        if row.managed_by is not None:
            raise _managed(row)
        values = _values(change)
        values |= _next_time(row, values)
        await connection.execute(schedules.update_schedule(schedule_id, **values))


def _values(change: schemas.ScheduleChange) -> dict[str, Any]:
    """Return the columns to change. A new `cron` clears `every_s`, and the other way round."""
    given = {name: value for name in schedules.UPDATABLE_COLUMNS if (value := getattr(change, name)) is not UNSET}
    if "task" in given:
        given["task"] = msgspec.to_builtins(given["task"])
    for one, other in (("cron", "every_s"), ("every_s", "cron")):
        if given.get(one) is not None:
            given.setdefault(other, None)
    return given


def _next_time(row: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of the next time, if `values` change it. Raise `ProblemError` when the times are not valid."""
    cron, every_s, timezone = (values.get(name, getattr(row, name)) for name in ("cron", "every_s", "timezone"))
    recurrence = parse_recurrence(cron, every_s, timezone, row.anchor_at)
    if every_s is not None:
        if every_s == row.every_s:
            return {}
        next_at = max((row.last_at or row.created_at) + timedelta(seconds=every_s), row.moment)
        return {"next_at": next_at, "anchor_at": next_at}
    if (cron, timezone) == (row.cron, row.timezone):
        return {}
    return {"next_at": recurrence.after(row.moment)}


def _name_taken(name: str) -> ProblemError:
    detail = f"There is already a schedule named {name!r}."
    return ProblemError(Problem("The name is taken", 409, ProblemCode.SCHEDULE_EXISTS, detail=detail))


def _managed(schedule: Any) -> ProblemError:
    """Return the problem of changing a managed schedule. Its description names the setting to change instead."""
    detail = f"{schedule.name} is managed by {schedule.managed_by}, whose settings determine its times."
    if schedule.description:
        detail += f" {schedule.description}."
    return ProblemError(Problem("A service manages this schedule", 409, ProblemCode.SCHEDULE_MANAGED, detail=detail))
