"""The actions of users on a task: cancel, pause, resume, retry, delete. Each is one guarded statement.

No row means that the task's status does not allow the change. Lock the task first, by a statement of its own:
`dependencies.lock_task_and_parents` for `resume` and `retry`, `dependencies.lock_tasks` for the others. A statement
that waits for the lock itself would not see the outbox row that the lock's previous holder has written, and leave it
behind.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Text,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import InstrumentedAttribute

from taskcore.db.models import Outbox, Task, TaskType
from taskcore.db.queues.outbox import paused_queues
from taskcore.db.sql import (
    actor_param,
    bigint_param,
    bigints_param,
    const_bool,
    const_text,
    key_equals,
    seconds_param,
    status_in_unindexed,
    texts_param,
)
from taskcore.db.tasks.dependencies import has_failed_parent, has_incomplete_parent
from taskcore.db.tasks.transitions import (
    delete_outbox,
    delete_tasks,
    finished_columns,
    insert_history,
    insert_outbox,
    lock_in_status,
    reset_columns,
    runs_in_future,
    update_status,
)
from taskcore.domain.dependencies import DependentsState
from taskcore.domain.outcomes import Reason
from taskcore.domain.states import (
    CANCEL,
    DELETE,
    EXPIRE_UNKNOWN_TYPE,
    PAUSE,
    REQUEST_CANCEL,
    REQUEST_PAUSE,
    RESUME,
    RETRY,
    WITHDRAW_PAUSE,
    Status,
)
from taskcore.domain.tasks import COORDINATOR

UNKNOWN_TYPE_LIMIT = 1_000


@cache
def cancel() -> Executable:
    """Cancel a waiting task. Parameters: task, by, why. Returns (id, status, dependents_state)."""
    was = lock_in_status(CANCEL.sources, Task.id == bigint_param("task"))
    rows = update_status(
        was,
        CANCEL.sources,
        const_text(Status.CANCELLED),
        reason=const_text(Reason.CANCELLED),
        error=_reason_param(),
        **finished_columns(),
    )
    answer = select(rows.c.id, rows.c.status, rows.c.dependents_state)
    return answer.add_cte(insert_history(rows, actor_param(), _reason_details()), delete_outbox(rows))


@cache
def request_cancel() -> Executable:
    """Ask a running task to stop, if its type can be cancelled. Parameters and result as for `cancel`.

    Its worker settles it, with the reason and the error that are written here.
    """
    was = lock_in_status(
        REQUEST_CANCEL.sources, (Task.id == bigint_param("task")) & _type_supports(TaskType.can_cancel)
    )
    reason = const_text(Reason.CANCELLED)
    rows = update_status(
        was, REQUEST_CANCEL.sources, const_text(Status.CANCELLING), reason=reason, error=_reason_param()
    )
    return select(rows.c.id, rows.c.status, rows.c.dependents_state).add_cte(
        insert_history(rows, actor_param(), _reason_details())
    )


@cache
def pause() -> Executable:
    """Pause a waiting task. Parameters: task, by, why. Returns its id."""
    was = lock_in_status(PAUSE.sources, Task.id == bigint_param("task"))
    rows = update_status(
        was, PAUSE.sources, const_text(Status.PAUSED), pause_reason=_reason_param(), paused_by=actor_param()
    )
    return select(rows.c.id).add_cte(insert_history(rows, actor_param(), _reason_details()), delete_outbox(rows))


@cache
def request_pause() -> Executable:
    """Ask a running task to pause, if its type can; its worker settles it. Parameters and result as for `pause`."""
    condition = (Task.id == bigint_param("task")) & _type_supports(TaskType.can_pause)
    rows = update_status(
        lock_in_status(REQUEST_PAUSE.sources, condition),
        REQUEST_PAUSE.sources,
        const_text(Status.RUNNING),
        pause_requested=const_bool(True),
        pause_reason=_reason_param(),
        paused_by=actor_param(),
    )
    return select(rows.c.id).add_cte(
        insert_history(rows, actor_param(), _pause_requested(True).concat(_reason_details()))
    )


@cache
def withdraw_pause() -> Executable:
    """Withdraw the request to pause a running task. Parameters: task, by. Returns its id."""
    rows = update_status(
        lock_in_status(WITHDRAW_PAUSE.sources, (Task.id == bigint_param("task")) & Task.pause_requested),
        WITHDRAW_PAUSE.sources,
        const_text(Status.RUNNING),
        pause_requested=const_bool(False),
    )
    return select(rows.c.id).add_cte(insert_history(rows, actor_param(), _pause_requested(False)))


@cache
def resume() -> Executable:
    """Resume a paused task. Parameters: task, by. Returns (id, status).

    It becomes blocked while one of its parents has not succeeded. If a parent has failed, the resolution of
    dependencies cancels it then.
    """
    was = lock_in_status(RESUME.sources, Task.id == bigint_param("task"))
    becomes = case(
        (has_incomplete_parent(), const_text(Status.BLOCKED)),
        (runs_in_future(), const_text(Status.SCHEDULED)),
        else_=const_text(Status.QUEUED),
    )
    rows = update_status(was, RESUME.sources, becomes)
    return select(rows.c.id, rows.c.status).add_cte(insert_history(rows, actor_param()), insert_outbox(rows))


@cache
def retry() -> Executable:
    """Retry a failed or cancelled task with all its attempts. Parameters: task, by. Returns (id, dependents_state).

    Not possible while one of its parents has failed or been cancelled. The dependents that its own end had cancelled
    are blocked again.
    """
    was = lock_in_status(RETRY.sources, (Task.id == bigint_param("task")) & ~has_failed_parent())
    becomes = case((has_incomplete_parent(), const_text(Status.BLOCKED)), else_=const_text(Status.QUEUED))
    dependents_state = case((Task.dependents_state.is_not(None), const_text(DependentsState.REBLOCK)))
    rows = update_status(was, RETRY.sources, becomes, dependents_state=dependents_state, **reset_columns())
    return select(rows.c.id, rows.c.dependents_state).add_cte(insert_history(rows, actor_param()), insert_outbox(rows))


@cache
def delete_task() -> Executable:
    """Delete a task that no worker holds; its history stays. Parameters: task, by. Returns its id."""
    return delete_tasks(
        lock_in_status(DELETE.sources, Task.id == bigint_param("task")), actor_param(), func.jsonb_build_object()
    )


@cache
def lock_unknown_type() -> Executable:
    """Lock tasks of `types` that have been due for `after_s` seconds, with ids after `after_id`.

    Returns up to `UNKNOWN_TYPE_LIMIT` ids. The tasks of paused queues stay.
    """
    waiting = (
        select(Outbox.task_id)
        .where(_has_waited(), Outbox.type == func.any(texts_param("types")), Outbox.queue.not_in(paused_queues()))
        .where(Outbox.task_id > bigint_param("after_id"))
        .order_by(Outbox.task_id)
        .limit(UNKNOWN_TYPE_LIMIT)
        .cte("waiting")
    )
    rows = select(Task.id).join(waiting, key_equals(Task.id, waiting.c.task_id))
    is_waiting = status_in_unindexed(Task.status, EXPIRE_UNKNOWN_TYPE.sources)
    return rows.where(is_waiting).order_by(Task.id + literal_column("0")).with_for_update(of=Task)


@cache
def fail_unknown_type() -> Executable:
    """Fail those of `ids`, locked by `lock_unknown_type`, that still have been due for `after_s`. Returns their ids."""
    still_waits = exists().where(key_equals(Outbox.task_id, Task.id), _has_waited())
    was = lock_in_status(EXPIRE_UNKNOWN_TYPE.sources, and_(Task.id == func.any(bigints_param()), still_waits))
    error = const_text("no live worker has known this type for too long")
    reason = const_text(Reason.UNKNOWN_TYPE)
    rows = update_status(
        was, EXPIRE_UNKNOWN_TYPE.sources, const_text(Status.FAILED), reason=reason, error=error, **finished_columns()
    )
    details = func.jsonb_build_object(const_text("reason"), reason)
    return select(rows.c.id).add_cte(insert_history(rows, const_text(COORDINATOR), details), delete_outbox(rows))


def _has_waited() -> ColumnElement[bool]:
    return Outbox.available_at < func.now() - seconds_param("after_s")


def _pause_requested(wanted: bool) -> ColumnElement[Any]:
    return func.jsonb_build_object(const_text("pause_requested"), const_bool(wanted), type_=JSONB)


def _type_supports(can: InstrumentedAttribute[bool]) -> ColumnElement[bool]:
    return exists().where(TaskType.name == Task.type, can)


def _reason_param() -> ColumnElement[str]:
    return bindparam("why", type_=Text)


def _reason_details() -> ColumnElement[Any]:
    return func.jsonb_build_object(const_text("reason"), _reason_param())
