"""Holding a schedule back, letting it go on, and running its task at once."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency

from taskapi.http.parameters import User, actor, problem_responses
from taskapi.runtime.services import Services
from taskapi.schedules import schemas
from taskapi.schedules.parameters import ScheduleId
from taskapi.schedules.problems import schedule_not_found, schedule_overlap
from taskapi.schedules.queries import fetch_schedule
from taskapi.schedules.validation import parse_recurrence
from taskapi.tasks.actions import MAX_REASON_BYTES, read_reason
from taskcore.db.notify import SCHEDULES
from taskcore.db.schedules import fires, schedules
from taskcore.observability.metrics import TASKS_SUBMITTED
from taskcore.submission.from_schedule import OverlapConflict, run_now


@post(
    "/schedules/{schedule_id:int}/pause",
    operation_id="pause_schedule",
    summary="Pause a schedule",
    tags=["schedules"],
    status_code=200,
    request_max_body_size=MAX_REASON_BYTES,
    responses=problem_responses(404, 413, 415),
)
async def pause_schedule(
    request: Request[Any, Any, Any], services: NamedDependency[Services], schedule_id: ScheduleId
) -> schemas.Schedule:
    """Its times pass until it is resumed; what runs goes on. Pausing it again changes the reason."""
    why = await read_reason(request)
    if not await services.database.write(schedules.pause_schedule(), {"of": schedule_id, "why": why}):
        raise schedule_not_found(schedule_id)
    services.notifier.notify(SCHEDULES)
    return await fetch_schedule(services, schedule_id)


@post(
    "/schedules/{schedule_id:int}/resume",
    operation_id="resume_schedule",
    summary="Resume a schedule",
    tags=["schedules"],
    status_code=200,
    responses=problem_responses(404),
)
async def resume_schedule(services: NamedDependency[Services], schedule_id: ScheduleId) -> schemas.Schedule:
    """From now on: what came during the pause is not made up for. It is no error if it was not paused."""
    async with services.database.transaction() as connection:
        row = (await connection.execute(fires.lock_schedule(), {"of": schedule_id})).first()
        if row is None:
            raise schedule_not_found(schedule_id)
        if row.paused_at is not None:
            found = parse_recurrence(row.cron, row.every_s, row.timezone, row.anchor_at)
            await connection.execute(
                schedules.resume_schedule(), {"of": schedule_id, "following": found.after(row.moment)}
            )
    services.notifier.notify(SCHEDULES)
    return await fetch_schedule(services, schedule_id)


@post(
    "/schedules/{schedule_id:int}/run",
    operation_id="run_schedule",
    summary="Run a schedule's task now",
    tags=["schedules"],
    response_description="Submitted.",
    responses=problem_responses(404, 409),
)
async def run_schedule(
    services: NamedDependency[Services], schedule_id: ScheduleId, user: User = None
) -> Response[schemas.ScheduleRun]:
    """Paused or not, and beside its times. Unless tasks may overlap, not while the last one is not over."""
    async with services.database.transaction() as connection:
        done = await run_now(connection, schedule_id, actor=actor(user))
    if done is None:
        raise schedule_not_found(schedule_id)
    if isinstance(done, OverlapConflict):
        raise schedule_overlap(done.task_id)
    TASKS_SUBMITTED.inc()
    services.notifier.notify()
    headers = {"Location": f"/api/v1/tasks/{done.task_id}"}
    return Response(schemas.ScheduleRun(done.task_id, done.due_at), headers=headers)
