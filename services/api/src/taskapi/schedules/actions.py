"""Pausing and resuming a schedule, and running its task now."""

from __future__ import annotations

from litestar import Response, post

from taskapi.http.parameters import HttpRequest, User, actor, location, problem_responses
from taskapi.http.problems import ProblemError, not_found
from taskapi.http.request_body import read_reason, reason_body
from taskapi.runtime.services import AppServices
from taskapi.schedules import schemas
from taskapi.schedules.queries import ScheduleId, fetch_schedule
from taskapi.schedules.validation import parse_recurrence
from taskapi.schemas.problems import Problem, ProblemCode
from taskcore.db.notify import SCHEDULES
from taskcore.db.schedules import fires, schedules
from taskcore.observability.metrics import TASKS_SUBMITTED
from taskcore.submission.from_schedule import OverlapConflict, run_now


@post(
    "/schedules/{schedule_id:int}/pause",
    summary="Pause a schedule",
    status_code=200,
    responses=problem_responses(404, 413, 415),
    **reason_body("the mail server is being moved").options,
)
async def pause_schedule(request: HttpRequest, services: AppServices, schedule_id: ScheduleId) -> schemas.Schedule:
    """Skip the times of the schedule until it is resumed. A running task continues. Pausing again sets the reason."""
    reason = await read_reason(request)
    if not await services.database.write(schedules.pause_schedule(), {"of": schedule_id, "why": reason}):
        raise not_found(ProblemCode.SCHEDULE_NOT_FOUND, schedule_id)
    services.notifier.notify(SCHEDULES)
    return await fetch_schedule(services, schedule_id)


@post(
    "/schedules/{schedule_id:int}/resume",
    summary="Resume a schedule",
    status_code=200,
    responses=problem_responses(404),
)
async def resume_schedule(services: AppServices, schedule_id: ScheduleId) -> schemas.Schedule:
    """Continue the schedule with its next time. Those of the pause are not made up for. It need not be paused."""
    async with services.database.transaction() as connection:
        row = (await connection.execute(fires.lock_schedule(), {"of": schedule_id})).first()
        if row is None:
            raise not_found(ProblemCode.SCHEDULE_NOT_FOUND, schedule_id)
        if row.paused_at is not None:
            recurrence = parse_recurrence(row.cron, row.every_s, row.timezone, row.anchor_at)
            await connection.execute(
                schedules.resume_schedule(), {"of": schedule_id, "following": recurrence.after(row.moment)}
            )
    services.notifier.notify(SCHEDULES)
    return await fetch_schedule(services, schedule_id)


@post(
    "/schedules/{schedule_id:int}/run",
    summary="Run a schedule's task now",
    response_description="The task was submitted.",
    response_headers=[location("task")],
    responses=problem_responses(404, 409),
)
async def run_schedule(
    services: AppServices, schedule_id: ScheduleId, user: User = None
) -> Response[schemas.ScheduleRun]:
    """Submit the task of the schedule now, paused or not, unless the previous one is unfinished and may not overlap."""
    async with services.database.transaction() as connection:
        done = await run_now(connection, schedule_id, actor=actor(user))
    if done is None:
        raise not_found(ProblemCode.SCHEDULE_NOT_FOUND, schedule_id)
    if isinstance(done, OverlapConflict):
        title = "The previous task of the schedule is not finished"
        detail = f"Task {done.task_id} of this schedule is not finished, and its overlap is not `allow`."
        raise ProblemError(Problem(title, 409, ProblemCode.SCHEDULE_OVERLAP, detail=detail, task_id=done.task_id))
    TASKS_SUBMITTED.inc()
    services.notifier.notify()
    headers = {"Location": f"/api/v1/tasks/{done.task_id}"}
    return Response(schemas.ScheduleRun(done.task_id, done.due_at), headers=headers)
