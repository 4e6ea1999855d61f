"""Listing, pausing, resuming and deleting queues."""

from __future__ import annotations

from litestar import delete, get, post

from taskapi.http.parameters import HttpRequest, QueueName, User, actor, problem_responses
from taskapi.http.problems import ProblemError, concurrent_update, invalid_field, not_found
from taskapi.http.request_body import read_reason, reason_body
from taskapi.runtime.services import AppServices, Services
from taskapi.schemas.problems import Problem, ProblemCode
from taskapi.schemas.workers import Queue, Queues
from taskapi.tasks.presenters import from_row, from_rows
from taskcore.db.queues import lifecycle, queues

MAX_TRIES = 3

#: What a queue may be needed for, by the columns of `lifecycle.find_uses`.
_USES = {
    "has_tasks": "it has tasks that are not finished",
    "has_schedules": "a schedule submits tasks to it",
    "is_consumed": "a live worker names it in worker.queues",
    "is_default": "it is the queue of a task type that a live worker runs",
}


@get("/queues", summary="List queues", responses=problem_responses())
async def list_queues(services: AppServices) -> Queues:
    """Return every queue that has had a task or was paused, by name."""
    rows = await services.database.read(queues.list_queues())
    return Queues(from_rows(Queue, rows))


@post(
    "/queues/{queue_name:str}/pause",
    summary="Pause a queue",
    status_code=200,
    responses=problem_responses(413, 415),
    **reason_body("the mail server is being moved").options,
)
async def pause_queue(request: HttpRequest, services: AppServices, queue_name: QueueName, user: User = None) -> Queue:
    """Start no task of the queue until it is resumed. Running tasks continue. The queue need not exist yet."""
    reason = await read_reason(request)
    if await services.queue_names.find_refused([queue_name]):
        raise invalid_field("name", services.queue_names.refusal)
    await services.database.write(queues.pause_queue(), {"of": queue_name, "why": reason, "by": actor(user)})
    return await _fetch_queue(services, queue_name)


@post("/queues/{queue_name:str}/resume", summary="Resume a queue", status_code=200, responses=problem_responses(404))
async def resume_queue(services: AppServices, queue_name: QueueName) -> Queue:
    """Start the tasks of the queue again."""
    await services.database.write(queues.resume_queue(), {"of": queue_name})
    services.notifier.notify()
    return await _fetch_queue(services, queue_name)


@delete("/queues/{queue_name:str}", summary="Delete a queue", responses=problem_responses(404, 409))
async def delete_queue(services: AppServices, queue_name: QueueName) -> None:
    """Delete a queue that nothing needs. It disappears from the broker within a minute.

    It must have no unfinished task, and no schedule, no task type of a live worker and no `worker.queues` may name it.
    A task that names it later creates it again.
    """
    for _ in range(MAX_TRIES):
        if await services.database.write(lifecycle.mark_queue(), {"of": queue_name}):
            return
        rows = await services.database.read(lifecycle.find_uses(), {"of": queue_name})
        if not rows:
            raise not_found(ProblemCode.QUEUE_NOT_FOUND, queue_name)
        if uses := [why for name, why in _USES.items() if rows[0]._mapping[name]]:
            detail = f"The queue {queue_name!r} is needed: {'; '.join(uses)}."
            raise ProblemError(Problem("The queue is in use", 409, ProblemCode.QUEUE_IN_USE, detail=detail))
    raise concurrent_update()


async def _fetch_queue(services: Services, name: str) -> Queue:
    rows = await services.database.read(queues.get_queue(), {"of": name})
    if not rows:
        raise not_found(ProblemCode.QUEUE_NOT_FOUND, name)
    return from_row(Queue, rows[0])
