"""What people do to a task: cancel, retry, delete. Each is one guarded statement.

No row back means that the task does not stand where this could be done.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Executable,
    Select,
    Text,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)

from taskcore.db.models import Outbox, Task, TaskHistory, TaskType, Worker
from taskcore.db.parameters import flag, number, seconds, stands_at, still_at, word
from taskcore.db.removals import removed
from taskcore.db.workers import IS_LIVE
from taskcore.domain.outcomes import Reason
from taskcore.domain.states import CANCEL, DELETE, GIVE_UP, RETRY, Transition

GIVE_UP_LIMIT = 1_000


@cache
def cancel() -> Executable:
    """Cancel a task that waits. Parameters: task, by, why. Answers its id."""
    was = _standing(CANCEL, Task.id == number("task"))
    reason = bindparam("why", type_=Text)
    changed = _update(CANCEL, was, reason=word(Reason.CANCELLED), error=reason, finished_at=func.now())
    return select(changed.c.id).add_cte(
        _history(changed, CANCEL, _actor(), func.jsonb_build_object(word("reason"), reason)), _drop_outbox(changed)
    )


@cache
def retry() -> Executable:
    """Queue a task that failed or was cancelled again, with all its attempts. Parameters: task, by."""
    was = _standing(RETRY, Task.id == number("task"))
    changed = _update(
        RETRY,
        was,
        failures=literal_column("0"),
        crashes=literal_column("0"),
        losses=literal_column("0"),
        alone=flag(False),
        delete_at=null(),
        progress=null(),
        checkpoint=null(),
        result=null(),
        error=null(),
        reason=null(),
        started_at=null(),
        finished_at=null(),
    )
    outbox = (
        insert(Outbox)
        .from_select(
            ["task_id", "queue", "priority", "is_due", "available_at"],
            select(changed.c.id, changed.c.queue, changed.c.priority, flag(True), func.now()),
        )
        .cte("outbox_rows")
    )
    return select(changed.c.id).add_cte(_history(changed, RETRY, _actor(), null()), outbox)


@cache
def remove() -> Executable:
    """Delete a task that does not run; its history stays and says so. Parameters: task, by. Answers its id."""
    return removed(_standing(DELETE, Task.id == number("task")), _actor(), null())


@cache
def give_up() -> Executable:
    """Fail what waits for a type that no worker has served for `after_s` seconds. Answers up to `GIVE_UP_LIMIT` ids."""
    was = _standing(GIVE_UP, Task.type.in_(_unserved_types()), limit=GIVE_UP_LIMIT)
    error = word("no live worker has known this type for too long")
    changed = _update(GIVE_UP, was, reason=word(Reason.UNKNOWN_TYPE), error=error, finished_at=func.now())
    details = func.jsonb_build_object(word("reason"), word(Reason.UNKNOWN_TYPE))
    return select(changed.c.id).add_cte(_history(changed, GIVE_UP, word("coordinator"), details), _drop_outbox(changed))


@cache
def unserved_types() -> Executable:
    """Whether any type has gone unserved for `after_s` seconds: cheap, where `give_up` is not."""
    return _unserved_types().limit(1)


def _unserved_types() -> Select[Any]:
    """`seen_at` is renewed now and then only: a type of a live worker is served, however old that is."""
    is_served = exists().where(TaskType.name == func.any(Worker.types), IS_LIVE)
    return select(TaskType.name).where(TaskType.seen_at < func.now() - seconds("after_s"), ~is_served)


def _standing(transition: Transition, which: ColumnElement[bool], limit: int | None = None) -> CTE:
    """The tasks of `which` that `transition` may start from, locked in id order, with the status they had."""
    rows = select(Task.id, Task.status).where(which, stands_at(Task.status, transition.sources))
    return rows.order_by(Task.id).limit(limit).with_for_update(of=Task).cte("was")


def _update(transition: Transition, was: CTE, **values: Any) -> CTE:
    if transition.target is None:
        raise ValueError(f"{transition.name} has no target")
    return (
        update(Task)
        .where(Task.id == was.c.id, still_at(Task.status, transition.sources))
        .values(status=word(transition.target), **values)
        .returning(Task.id, Task.attempt, Task.queue, Task.priority, was.c.status.label("was"))
        .cte("changed")
    )


def _history(changed: CTE, transition: Transition, actor: ColumnElement[str], details: Any) -> CTE:
    target = null() if transition.target is None else word(transition.target)
    return (
        insert(TaskHistory)
        .from_select(
            ["task_id", "attempt", "from_status", "to_status", "actor", "details"],
            select(changed.c.id, changed.c.attempt, changed.c.was, target, actor, details),
        )
        .cte("history")
    )


def _drop_outbox(changed: CTE) -> CTE:
    return delete(Outbox).where(Outbox.task_id == changed.c.id).returning(Outbox.task_id).cte("dropped")


def _actor() -> ColumnElement[str]:
    return bindparam("by", type_=Text)
