"""Listing, pausing and resuming queues."""

from __future__ import annotations

from litestar import get, post

from taskapi.http.parameters import HttpRequest, QueueName, User, actor, problem_responses
from taskapi.http.problems import not_found
from taskapi.http.request_body import read_reason, reason_body
from taskapi.runtime.services import AppServices, Services
from taskapi.schemas.problems import ProblemCode
from taskapi.schemas.workers import Queue, Queues
from taskapi.tasks.presenters import from_row, from_rows
from taskcore.db.queues import queues


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
    await services.database.write(queues.pause_queue(), {"of": queue_name, "why": reason, "by": actor(user)})
    return await _fetch_queue(services, queue_name)


@post("/queues/{queue_name:str}/resume", summary="Resume a queue", status_code=200, responses=problem_responses(404))
async def resume_queue(services: AppServices, queue_name: QueueName) -> Queue:
    """Start the tasks of the queue again."""
    await services.database.write(queues.resume_queue(), {"of": queue_name})
    services.notifier.notify()
    return await _fetch_queue(services, queue_name)


async def _fetch_queue(services: Services, name: str) -> Queue:
    rows = await services.database.read(queues.get_queue(), {"of": name})
    if not rows:
        raise not_found(ProblemCode.QUEUE_NOT_FOUND, name)
    return from_row(Queue, rows[0])
