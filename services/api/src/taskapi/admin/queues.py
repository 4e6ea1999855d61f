"""Pausing and resuming queues."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.di import NamedDependency

from taskapi.http.parameters import QueueName, User, actor, problem_responses
from taskapi.http.problems import queue_not_found
from taskapi.runtime.services import Services
from taskapi.schemas import Queue
from taskapi.tasks import presenters
from taskapi.tasks.actions import MAX_REASON_BYTES, read_reason
from taskcore.db.queues import queues


@post(
    "/queues/{queue_name:str}/pause",
    operation_id="pause_queue",
    summary="Pause a queue",
    tags=["queues"],
    status_code=200,
    request_max_body_size=MAX_REASON_BYTES,
    responses=problem_responses(413, 415),
)
async def pause_queue(
    request: Request[Any, Any, Any], services: NamedDependency[Services], queue_name: QueueName, user: User = None
) -> Queue:
    """Nothing of it is started any more, until it is resumed; what runs goes on. It need not have had tasks yet."""
    why = await read_reason(request)
    await services.database.write(queues.pause_queue(), {"of": queue_name, "why": why, "by": actor(user)})
    return await _queue(services, queue_name)


@post(
    "/queues/{queue_name:str}/resume",
    operation_id="resume_queue",
    summary="Resume a queue",
    tags=["queues"],
    status_code=200,
    responses=problem_responses(404),
)
async def resume_queue(services: NamedDependency[Services], queue_name: QueueName) -> Queue:
    """Its tasks are started again."""
    await services.database.write(queues.resume_queue(), {"of": queue_name})
    services.notifier.notify()
    return await _queue(services, queue_name)


async def _queue(services: Services, name: str) -> Queue:
    rows = await services.database.read(queues.get_queue(), {"of": name})
    if not rows:
        raise queue_not_found(name)
    queue: Queue = presenters.from_row(Queue, rows[0]._mapping)
    return queue
