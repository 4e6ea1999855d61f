"""Reading schedules, their fires and their next times."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from litestar import get, post
from litestar.params import QueryParameter

from taskapi.http.paging import parse_time
from taskapi.http.parameters import AfterId, HttpRequest, Limit, id_in_path, problem_responses
from taskapi.http.problems import not_found
from taskapi.http.request_body import JsonBody
from taskapi.runtime.services import AppServices, Services
from taskapi.schedules import schemas
from taskapi.schedules.validation import parse_recurrence
from taskapi.schemas.problems import ProblemCode
from taskapi.tasks.presenters import first_rows, from_row
from taskcore.db.schedules import schedules
from taskcore.submission.recurrence import Recurrence

ScheduleId = Annotated[int, id_in_path("A schedule's id.")]
_Before = Annotated[
    str | None, QueryParameter(schema_extra={"format": "date-time"}, description="`next_before` of the previous page.")
]
_Count = Annotated[int, QueryParameter(ge=1, le=schemas.MAX_PREVIEW, description="Number of times.")]

_PREVIEW = JsonBody(schemas.PreviewRequest, {"cron": "*/5 8-18 * * MON-FRI", "timezone": "Europe/Berlin"})


@get("/schedules", summary="List schedules", responses=problem_responses())
async def list_schedules(services: AppServices, after: AfterId = 0, limit: Limit = 100) -> schemas.SchedulePage:
    """Return a page of schedules, by id."""
    rows = await services.database.read(schedules.list_schedules(), {"after_id": after, "most": limit + 1})
    ((total,),) = await services.database.read(schedules.count_schedules())
    items, has_more = first_rows(schemas.Schedule, rows, limit)
    return schemas.SchedulePage(items, total, items[-1].id if has_more else None)


@get("/schedules/{schedule_id:int}", summary="Get a schedule", responses=problem_responses(404))
async def get_schedule(services: AppServices, schedule_id: ScheduleId) -> schemas.Schedule:
    """Return the schedule with its next and last time."""
    return await fetch_schedule(services, schedule_id)


@get("/schedules/{schedule_id:int}/fires", summary="List a schedule's fires", responses=problem_responses(404))
async def list_schedule_fires(
    services: AppServices, schedule_id: ScheduleId, before: _Before = None, limit: Limit = 100
) -> schemas.ScheduleFirePage:
    """Return each past time and its outcome, newest first. Missed times are counted, not listed."""
    values = {"of": schedule_id, "until": parse_time("before", before), "most": limit + 1}
    rows = await services.database.read(schedules.list_fires(), values)
    if not rows:
        await fetch_schedule_row(services, schedule_id)
    items = [
        schemas.ScheduleFire(row.due_at, row.at, row.task_id, row.waits, row.task_id is None and not row.waits)
        for row in rows[:limit]
    ]
    return schemas.ScheduleFirePage(items, items[-1].due_at if len(rows) > limit else None)


@get(
    "/schedules/{schedule_id:int}/preview", summary="Preview a schedule's next times", responses=problem_responses(404)
)
async def preview_schedule(
    services: AppServices, schedule_id: ScheduleId, count: _Count = 10
) -> schemas.SchedulePreview:
    """Return the next times of the schedule, ignoring a pause."""
    row = await fetch_schedule_row(services, schedule_id)
    recurrence = parse_recurrence(row.cron, row.every_s, row.timezone, row.anchor_at)
    return await _preview(recurrence, row.timezone, await database_now(services), count)


@post(
    "/schedules/preview",
    summary="Preview the next times of a cron line or an interval",
    status_code=200,
    responses=problem_responses(413, 415),
    **_PREVIEW.options,
)
async def preview_recurrence(request: HttpRequest, services: AppServices) -> schemas.SchedulePreview:
    """Return the next times without storing anything."""
    preview = await _PREVIEW.read(request)
    now = await database_now(services)
    recurrence = parse_recurrence(preview.cron, preview.every_s, preview.timezone, now)
    return await _preview(recurrence, preview.timezone, now, preview.count)


async def database_now(services: Services) -> datetime:
    ((now,),) = await services.database.read(schedules.read_clock())
    moment: datetime = now
    return moment


async def fetch_schedule(services: Services, schedule_id: int) -> schemas.Schedule:
    """Raise `ProblemError` when there is no such schedule."""
    return from_row(schemas.Schedule, await fetch_schedule_row(services, schedule_id))


async def fetch_schedule_row(services: Services, schedule_id: int) -> Any:
    """Raise `ProblemError` when there is no such schedule."""
    rows = await services.database.read(schedules.get_schedule(), {"of": schedule_id})
    if not rows:
        raise not_found(ProblemCode.SCHEDULE_NOT_FOUND, schedule_id)
    return rows[0]


async def _preview(recurrence: Recurrence, timezone: str, now: datetime, count: int) -> schemas.SchedulePreview:
    upcoming = await asyncio.to_thread(recurrence.upcoming, now, count)  # takes a second for once in 28 years
    zone = ZoneInfo(timezone)
    return schemas.SchedulePreview(timezone, [schemas.PreviewedTime(at, at.astimezone(zone)) for at in upcoming])
