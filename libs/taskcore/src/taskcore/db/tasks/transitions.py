"""What every change of waiting or finished tasks is made of: the tasks, locked; the update; its history; the outbox.

A change is one guarded statement put together from these.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, case, delete, func, insert, literal_column, null, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from taskcore.db.models import Outbox, Task, TaskAttempt, TaskDependency, TaskHistory, TaskLog
from taskcore.db.sql import const_bool, const_text, interval, key_equals, status_in, status_in_unindexed
from taskcore.db.tasks.dependencies import has_pending_dependents
from taskcore.domain.states import DELETE, Status


def lock_in_status(sources: Iterable[Status], condition: ColumnElement[bool], limit: int | None = None) -> CTE:
    """The tasks of `which` that stand at one of `sources`, locked in id order, with the status they had."""
    rows = select(Task.id, Task.status).where(condition, status_in(Task.status, sources))
    return rows.order_by(Task.id).limit(limit).with_for_update(of=Task).cte("was")


def update_status(was: CTE, sources: Iterable[Status], new_status: ColumnElement[str], **values: Any) -> CTE:
    """The tasks of `was` (id, status), now at the status `becomes`."""
    return (
        update(Task)
        .where(key_equals(Task.id, was.c.id), status_in_unindexed(Task.status, sources))
        .values(status=new_status, **values)
        .returning(
            Task.id,
            Task.attempt,
            Task.queue,
            Task.priority,
            Task.run_at,
            Task.status,
            Task.dependents_state,
            Task.error,
            was.c.status.label("was"),
        )
        .cte("changed")
    )


def insert_history(rows: CTE, actor: ColumnElement[str], details: Any = None) -> CTE:
    """The history of what is `changed`."""
    return (
        insert(TaskHistory)
        .from_select(
            ["task_id", "attempt", "from_status", "to_status", "actor", "details"],
            select(rows.c.id, rows.c.attempt, rows.c.was, rows.c.status, actor, null() if details is None else details),
        )
        .cte("history")
    )


def delete_outbox(rows: CTE) -> CTE:
    """Whatever was `changed` may not be claimed any more."""
    return delete(Outbox).where(key_equals(Outbox.task_id, rows.c.id)).returning(Outbox.task_id).cte("dropped")


def insert_outbox(rows: CTE) -> CTE:
    """Outbox rows for those that were `changed` to queued, due now, or to scheduled, due at their `run_at`."""
    is_queued = rows.c.status == const_text(Status.QUEUED)
    available_at = case((is_queued, func.now()), else_=rows.c.run_at)
    columns = ["task_id", "queue", "priority", "is_due", "available_at"]
    made = upsert(Outbox).from_select(
        columns,
        select(rows.c.id, rows.c.queue, rows.c.priority, is_queued, available_at).where(
            rows.c.status.in_([const_text(Status.QUEUED), const_text(Status.SCHEDULED)])
        ),
    )
    # There should be none; but one that was left behind must not keep the task from running.
    fresh = {name: made.excluded[name] for name in columns[1:]} | {"dispatched_at": null()}
    return made.on_conflict_do_update(index_elements=[Outbox.task_id], set_=fresh).cte("outbox_rows")


def finished_columns() -> dict[str, ColumnElement[datetime]]:
    """What an end sets, besides the status."""
    return {"finished_at": func.now(), "delete_at": func.now() + interval(Task.delete_after_s)}


def reset_columns() -> dict[str, ColumnElement[Any]]:
    """What a task that was over forgets when it is to run once more, with all its attempts."""
    nothing = ("delete_at", "progress", "checkpoint", "result", "error", "reason", "started_at", "finished_at")
    return {
        **{name: literal_column("0") for name in ("failures", "crashes", "worker_losses")},
        "isolated": const_bool(False),
        **{name: null() for name in nothing},
    }


def runs_in_future() -> ColumnElement[bool]:
    """The `run_at` of the task at hand."""
    return func.coalesce(Task.run_at > func.now(), const_bool(False))


def delete_tasks(was: CTE, actor: ColumnElement[str], details: Any) -> Select[Any]:
    """Delete the tasks of `was` (id, status), which has locked them. Answers the ids of those that were.

    What others wait for stays, over or not, until that was passed on: see `Task.dependents_state`.
    """
    deleted = (
        delete(Task)
        .where(
            key_equals(Task.id, was.c.id), status_in_unindexed(Task.status, DELETE.sources), ~has_pending_dependents()
        )
        .returning(Task.id, Task.attempt, Task.type, Task.queue, was.c.status.label("was"))
        .cte("deleted")
    )
    # By these is counted what happened to it, where nobody counted it yet.
    remembered = func.jsonb_build_object(const_text("type"), deleted.c.type, const_text("queue"), deleted.c.queue)
    history = (
        insert(TaskHistory)
        .from_select(
            ["task_id", "attempt", "from_status", "to_status", "actor", "details"],
            select(deleted.c.id, deleted.c.attempt, deleted.c.was, null(), actor, remembered.concat(details)),
        )
        .cte("history")
    )
    belongings = [
        delete(table)
        .where(key_equals(table.task_id, deleted.c.id))
        .returning(table.task_id)
        .cte(f"{table.__tablename__}_rows")
        for table in (Outbox, TaskAttempt, TaskLog, TaskDependency)
    ]
    return select(deleted.c.id).add_cte(history, *belongings)
