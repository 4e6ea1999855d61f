"""What a person may do to a task: cancel, pause, resume, retry, delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from litestar import delete, post
from sqlalchemy import Executable, Row, RowMapping

from taskapi.http.parameters import HttpRequest, TaskId, User, actor, problem_responses
from taskapi.http.problems import ProblemError, concurrent_update, not_found
from taskapi.http.request_body import read_reason, reason_body
from taskapi.runtime.services import AppServices, Services
from taskapi.schemas.problems import Problem, ProblemCode
from taskapi.schemas.tasks import Task
from taskapi.tasks.queries import fetch_task, present_task
from taskcore.db.notify import COMMANDS, DEPENDENTS, SETTLED
from taskcore.db.stored_values import stored
from taskcore.db.tasks import actions, dependencies, queries
from taskcore.domain.states import Action, Status

_PARTICIPLES = {
    Action.CANCEL: "cancelled",
    Action.PAUSE: "paused",
    Action.RESUME: "resumed",
    Action.RETRY: "retried",
    Action.DELETE: "deleted",
}
#: Actions that may block the task again, and what locks it for them: no parent may finish until it is blocked.
_LOCKS = {Action.RESUME: dependencies.lock_task_and_parents, Action.RETRY: dependencies.lock_task_and_parents}
#: What else than its status may prevent an action: a row when it does.
_PREVENTS: Mapping[Action, Callable[[], Executable]] = {
    Action.RETRY: dependencies.failed_dependency,
    Action.DELETE: dependencies.find_awaited,
}


@post(
    "/tasks/{task_id:int}/cancel",
    summary="Cancel a task",
    status_code=200,
    responses=problem_responses(404, 409, 413, 415),
    **reason_body("no longer needed").options,
)
async def cancel_task(request: HttpRequest, services: AppServices, task_id: TaskId, user: User = None) -> Task:
    """Cancel a waiting task at once. Ask a running one to stop, if its type can: it is `cancelling` until it has."""
    reason = await read_reason(request)
    statements = actions.cancel(), actions.request_cancel()
    row = await _execute(services, Action.CANCEL, task_id, user, *statements, why=reason)
    services.notifier.notify(COMMANDS if row.status == Status.CANCELLING else SETTLED)
    if row.dependents_state is not None:
        services.notifier.notify(DEPENDENTS)
    return await fetch_task(services, task_id)


@post(
    "/tasks/{task_id:int}/pause",
    summary="Pause a task",
    status_code=200,
    responses=problem_responses(404, 409, 413, 415),
    **reason_body("not before noon").options,
)
async def pause_task(request: HttpRequest, services: AppServices, task_id: TaskId, user: User = None) -> Task:
    """Pause a waiting task at once. Ask a running one to pause (`pause_requested`), if its type can continue later."""
    reason = await read_reason(request)
    await _execute(services, Action.PAUSE, task_id, user, actions.pause(), actions.request_pause(), why=reason)
    services.notifier.notify(COMMANDS)
    return await fetch_task(services, task_id)


@post("/tasks/{task_id:int}/resume", summary="Resume a task", status_code=200, responses=problem_responses(404, 409))
async def resume_task(services: AppServices, task_id: TaskId, user: User = None) -> Task:
    """Let a paused task wait again for its `run_at` and its dependencies, or withdraw a requested pause."""
    await _execute(services, Action.RESUME, task_id, user, actions.resume(), actions.withdraw_pause())
    services.notifier.notify()
    services.notifier.notify(COMMANDS)
    return await fetch_task(services, task_id)


@post("/tasks/{task_id:int}/retry", summary="Retry a task", status_code=200, responses=problem_responses(404, 409))
async def retry_task(services: AppServices, task_id: TaskId, user: User = None) -> Task:
    """Run a failed or cancelled task again, with all its attempts.

    The tasks that were cancelled because of it wait for it again. A task cannot be retried while one that it depends
    on has failed or is cancelled.
    """
    row = await _execute(services, Action.RETRY, task_id, user, actions.retry())
    services.notifier.notify()
    if row.dependents_state is not None:
        services.notifier.notify(DEPENDENTS)
    return await fetch_task(services, task_id)


@delete("/tasks/{task_id:int}", summary="Delete a task", responses=problem_responses(404, 409))
async def delete_task(services: AppServices, task_id: TaskId, user: User = None) -> None:
    """Delete a task, unless it runs or other tasks wait for it. Its history stays."""
    await _execute(services, Action.DELETE, task_id, user, actions.delete_task())


async def _execute(
    services: Services, action: Action, task_id: int, user: str | None, *statements: Executable, **values: Any
) -> Row[Any]:
    """Lock the task, then execute the first of `statements` that its status allows. Return the row of that.

    The lock is a statement of its own: one that waits for its task sees the rest of the database as it was before.
    Raise `ProblemError` when there is no such task, or none of `statements` is allowed.
    """
    values |= {"task": task_id, "by": actor(user)}
    lock = _LOCKS.get(action, dependencies.lock_tasks)
    async with services.database.transaction() as connection:
        await connection.execute(lock(), {"task": task_id, "ids": [task_id]})
        for statement in statements:
            if (row := (await connection.execute(statement, values)).first()) is not None:
                return row
        task = (await connection.execute(queries.get_task(), {"task_id": task_id})).mappings().first()
        prevents = _PREVENTS.get(action)
        other = prevents and (await connection.execute(prevents(), {"task": task_id})).first()
    if task is None:
        raise not_found(ProblemCode.TASK_NOT_FOUND, task_id)
    raise await _refusal(services, action, task, other)


async def _refusal(services: Services, action: Action, task: RowMapping, other: Row[Any] | None) -> ProblemError:
    """Return why `action` was not allowed. `other` is the row of what else prevents it."""
    status = stored(Status, task["status"])
    if action not in (await present_task(services, task)).available_actions:
        return _not_available(action, status, task["type"])
    if other is None:  # the cached task type allows what the stored one does not
        return concurrent_update()
    if action is Action.DELETE:
        detail = f"Other tasks wait for task {task['id']} to finish, or for the outcome of its retry."
        return _conflict(ProblemCode.HAS_DEPENDENTS, detail, status)
    how = {None: "was deleted", Status.FAILED: "failed", Status.CANCELLED: "was cancelled"}[other.status]
    detail = f"Task {task['id']} depends on task {other.id}, which {how}: retry that one first."
    return _conflict(ProblemCode.DEPENDENCY_FAILED, detail, status)


def _not_available(action: Action, status: Status, type_name: str) -> ProblemError:
    is_type = status is Status.RUNNING and action in (Action.CANCEL, Action.PAUSE)
    which = f"A {status} task of type {type_name}" if is_type else f"A {status} task"
    return _conflict(ProblemCode.ACTION_NOT_AVAILABLE, f"{which} cannot be {_PARTICIPLES[action]}.", status)


def _conflict(code: ProblemCode, detail: str, status: Status) -> ProblemError:
    title = "The status of the task does not allow this"
    return ProblemError(Problem(title, 409, code, detail=detail, task_status=status))
