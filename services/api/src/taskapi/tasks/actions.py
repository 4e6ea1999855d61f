"""What a person may do to a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, delete, post
from litestar.di import NamedDependency
from sqlalchemy import Executable

from taskapi.http.parameters import TaskId, User, actor, problem_responses
from taskapi.http.problems import (
    action_not_available,
    concurrent_update,
    dependency_failed,
    has_dependents,
    invalid_field,
)
from taskapi.http.request_body import decode, read_json_body
from taskapi.runtime.database import Rows
from taskapi.runtime.services import Services
from taskapi.schemas import ActionReason, Task
from taskapi.tasks.queries import fetch_task
from taskcore.db.notify import COMMANDS, DEPENDENTS, SETTLED
from taskcore.db.tasks import actions, dependencies
from taskcore.domain.states import Action, Status

MAX_TRIES = 3
#: What may make a task wait for others: nothing may end meanwhile, or it would wait for ever.
MAY_REBLOCK = frozenset({Action.RESUME, Action.RETRY})
MAX_REASON_BYTES = 64 * 1024

_REASON = msgspec.json.Decoder(ActionReason)


@post(
    "/tasks/{task_id:int}/cancel",
    operation_id="cancel_task",
    summary="Cancel a task",
    tags=["tasks"],
    status_code=200,
    request_max_body_size=MAX_REASON_BYTES,
    responses=problem_responses(404, 409, 413, 415),
)
async def cancel_task(
    request: Request[Any, Any, Any], services: NamedDependency[Services], task_id: TaskId, user: User = None
) -> Task:
    """At once while it waits. One that runs is told to stop, if its type can, and is `cancelling` until it has."""
    why = await read_reason(request)
    (row,) = await _change(
        services, Action.CANCEL, task_id, user, [actions.cancel(), actions.request_cancel()], why=why
    )
    services.notifier.notify(COMMANDS if row.status == Status.CANCELLING else SETTLED)
    if row.dependents_state is not None:
        services.notifier.notify(DEPENDENTS)
    return await fetch_task(services, task_id)


@post(
    "/tasks/{task_id:int}/pause",
    operation_id="pause_task",
    summary="Pause a task",
    tags=["tasks"],
    status_code=200,
    request_max_body_size=MAX_REASON_BYTES,
    responses=problem_responses(404, 409, 413, 415),
)
async def pause_task(
    request: Request[Any, Any, Any], services: NamedDependency[Services], task_id: TaskId, user: User = None
) -> Task:
    """At once while it waits. One that runs is asked to (`pause_requested`), if its type can go on later."""
    why = await read_reason(request)
    await _change(services, Action.PAUSE, task_id, user, [actions.pause(), actions.request_pause()], why=why)
    services.notifier.notify(COMMANDS)
    return await fetch_task(services, task_id)


@post(
    "/tasks/{task_id:int}/resume",
    operation_id="resume_task",
    summary="Resume a task",
    tags=["tasks"],
    status_code=200,
    responses=problem_responses(404, 409),
)
async def resume_task(services: NamedDependency[Services], task_id: TaskId, user: User = None) -> Task:
    """Let a paused task wait again for whatever it has to wait for; or take back a pause that was only requested."""
    await _change(services, Action.RESUME, task_id, user, [actions.resume(), actions.withdraw_pause()])
    services.notifier.notify()
    services.notifier.notify(COMMANDS)
    return await fetch_task(services, task_id)


@post(
    "/tasks/{task_id:int}/retry",
    operation_id="retry_task",
    summary="Retry a task",
    tags=["tasks"],
    status_code=200,
    responses=problem_responses(404, 409),
)
async def retry_task(services: NamedDependency[Services], task_id: TaskId, user: User = None) -> Task:
    """Run a task that failed or was cancelled once more, with all its attempts.

    What its end had cancelled waits for it again. Not while a task that it depends on has come to nothing.
    """
    (row,) = await _change(services, Action.RETRY, task_id, user, [actions.retry()])
    services.notifier.notify()
    if row.dependents_state is not None:
        services.notifier.notify(DEPENDENTS)
    return await fetch_task(services, task_id)


@delete(
    "/tasks/{task_id:int}",
    operation_id="delete_task",
    summary="Delete a task",
    tags=["tasks"],
    responses=problem_responses(404, 409),
)
async def delete_task(services: NamedDependency[Services], task_id: TaskId, user: User = None) -> None:
    """Not while it runs, nor while others wait for it. Its history stays."""
    await _change(services, Action.DELETE, task_id, user, [actions.delete_task()])


async def read_reason(request: Request[Any, Any, Any]) -> str | None:
    """The reason in a body that need not be there. Raises `Refused`."""
    body = await read_json_body(request)
    reason = decode(body, _REASON).reason if body else None
    if reason is not None and "\0" in reason:
        raise invalid_field("reason", "contains a NUL character")
    return reason


async def _change(
    services: Services,
    action: Action,
    task_id: int,
    user: str | None,
    statements: Sequence[Executable],
    **parameters: Any,
) -> Rows:
    """Make that change of `statements` which fits how the task stands. Answers what it answers.

    Raises `Refused` when the task is not there, or does not stand where one of them may start.
    """
    values = {"task": task_id, "by": actor(user), **parameters}
    for _ in range(MAX_TRIES):
        for statement in statements:
            if rows := await _write(services, action, statement, values):
                return rows
        await _refuse(services, action, task_id)
    raise concurrent_update()


async def _write(services: Services, action: Action, statement: Executable, values: dict[str, Any]) -> Rows:
    """Lock first, then look: while a statement waits for its task, it sees the outbox as it was before."""
    hold = dependencies.lock_task_and_parents() if action in MAY_REBLOCK else dependencies.lock_tasks()
    async with services.database.transaction() as connection:
        await connection.execute(hold, {"task": values["task"], "ids": [values["task"]]})
        return (await connection.execute(statement, values)).all()


async def _refuse(services: Services, action: Action, task_id: int) -> None:
    """Raise what keeps the task from taking `action`. Nothing does: it stood elsewhere a moment ago."""
    task = await fetch_task(services, task_id)
    if action not in task.available_actions:
        is_its_type = task.status is Status.RUNNING and action in (Action.CANCEL, Action.PAUSE)
        raise action_not_available(action, task.status, task.type if is_its_type else None)
    if action is Action.RETRY:
        for row in await services.database.read(dependencies.failed_dependency(), {"task": task_id}):
            how = "is gone" if row.status is None else "failed" if row.status == Status.FAILED else "was cancelled"
            raise dependency_failed(task_id, row.id, how, task.status)
    if action is Action.DELETE and await services.database.read(dependencies.find_awaited(), {"task": task_id}):
        raise has_dependents(task_id, task.status)
