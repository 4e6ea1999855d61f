"""What a person may do to a task."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, delete, post
from litestar.di import NamedDependency
from sqlalchemy import Executable

from taskapi import answers
from taskapi.bodies import decode, read_json
from taskapi.contract import TaskId, problems
from taskapi.problems import not_allowed, refuse_field
from taskapi.schemas import CancelRequest, Task
from taskapi.services import Services
from taskapi.tasks import task_row
from taskcore.db import changes
from taskcore.db.notify import SETTLED
from taskcore.domain.states import Action, Status

ACTOR = "api"
MAX_CANCEL_BYTES = 64 * 1024

_CANCEL = msgspec.json.Decoder(CancelRequest)


@post(
    "/tasks/{task_id:int}/cancel",
    operation_id="cancel_task",
    summary="Cancel a task",
    tags=["tasks"],
    status_code=200,
    request_max_body_size=MAX_CANCEL_BYTES,
    responses=problems(404, 409, 413, 415),
)
async def cancel_task(request: Request[Any, Any, Any], services: NamedDependency[Services], task_id: TaskId) -> Task:
    """Only while it waits."""
    body = await read_json(request)
    reason = decode(body, _CANCEL).reason if body else None
    if reason is not None and "\0" in reason:
        raise refuse_field("reason", "contains a NUL character")
    await _change(services, Action.CANCEL, task_id, changes.cancel(), why=reason)
    services.wakeups.send(SETTLED)
    return answers.task(await task_row(services, task_id))


@post(
    "/tasks/{task_id:int}/retry",
    operation_id="retry_task",
    summary="Retry a task",
    tags=["tasks"],
    status_code=200,
    responses=problems(404, 409),
)
async def retry_task(services: NamedDependency[Services], task_id: TaskId) -> Task:
    """Queue a task that failed or was cancelled once more, with all its attempts."""
    await _change(services, Action.RETRY, task_id, changes.retry())
    services.wakeups.send()
    return answers.task(await task_row(services, task_id))


@delete(
    "/tasks/{task_id:int}",
    operation_id="delete_task",
    summary="Delete a task",
    tags=["tasks"],
    responses=problems(404, 409),
)
async def delete_task(services: NamedDependency[Services], task_id: TaskId) -> None:
    """Not while it runs. Its history stays."""
    await _change(services, Action.DELETE, task_id, changes.remove())


async def _change(services: Services, action: Action, task_id: int, statement: Executable, **parameters: Any) -> None:
    """Raises `Refused` when the task is not there, or does not stand where the change may start."""
    if not await services.database.write(statement, {"task": task_id, "by": ACTOR, **parameters}):
        task = await task_row(services, task_id)
        raise not_allowed(action, Status(task["status"]))
