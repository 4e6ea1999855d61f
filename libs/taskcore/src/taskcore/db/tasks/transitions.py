"""The building blocks of a status change: lock the tasks, update them, write their history, change the outbox.

Each change of waiting or finished tasks is one guarded statement composed of these.
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
    """The tasks that match `condition` and have one of the statuses `sources`, locked in id order, with that status."""
    rows = select(Task.id, Task.status).where(condition, status_in(Task.status, sources))
    return rows.order_by(Task.id).limit(limit).with_for_update(of=Task).cte("was")


def update_status(was: CTE, sources: Iterable[Status], new_status: ColumnElement[str], **values: Any) -> CTE:
    """Change the tasks of `was` (id, status) to `new_status`, and set `values`. Forgets who paused them."""
    values = {"pause_reason": null(), "paused_by": null(), **values}
    return (
        update(Task)
        .where(key_equals(Task.id, was.c.id), status_in_unindexed(Task.status, sources))
        .values(status=new_status, **values)
        .returning(
            Task.id,
            Task.attempt,
            Task.queue,
            Task.type,
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
    """Write the history of the changed tasks."""
    return (
        insert(TaskHistory)
        .from_select(
            ["task_id", "attempt", "from_status", "to_status", "actor", "details"],
            select(rows.c.id, rows.c.attempt, rows.c.was, rows.c.status, actor, null() if details is None else details),
        )
        .cte("history")
    )


def delete_outbox(rows: CTE) -> CTE:
    """Delete the outbox rows of the changed tasks: no worker may claim them any more."""
    return delete(Outbox).where(key_equals(Outbox.task_id, rows.c.id)).returning(Outbox.task_id).cte("dropped")


def insert_outbox(rows: CTE) -> CTE:
    """Insert outbox rows for the changed tasks that are now queued (due now) or scheduled (due at `run_at`)."""
    is_queued = rows.c.status == const_text(Status.QUEUED)
    available_at = case((is_queued, func.now()), else_=rows.c.run_at)
    columns = ["task_id", "queue", "type", "priority", "is_due", "available_at"]
    statement = upsert(Outbox).from_select(
        columns,
        select(rows.c.id, rows.c.queue, rows.c.type, rows.c.priority, is_queued, available_at).where(
            rows.c.status.in_([const_text(Status.QUEUED), const_text(Status.SCHEDULED)])
        ),
    )
    # There should be no such row, but a stale one must not keep the task from running.
    values = {name: statement.excluded[name] for name in columns[1:]} | {
        "dispatched_at": null(),
        "is_parked": const_bool(False),
    }
    return statement.on_conflict_do_update(index_elements=[Outbox.task_id], set_=values).cte("outbox_rows")


def finished_columns() -> dict[str, ColumnElement[datetime]]:
    """What a task's end sets, besides the status."""
    return {"finished_at": func.now(), "delete_at": func.now() + interval(Task.delete_after_s)}


def reset_columns() -> dict[str, ColumnElement[Any]]:
    """What is reset when a finished task is to run again, with all its attempts."""
    nothing = ("delete_at", "progress", "checkpoint", "result", "error", "reason", "started_at", "finished_at")
    return {
        **{name: literal_column("0") for name in ("failures", "crashes", "worker_losses")},
        "isolated": const_bool(False),
        **{name: null() for name in nothing},
    }


def runs_in_future() -> ColumnElement[bool]:
    """The current row's task has a `run_at` in the future."""
    return func.coalesce(Task.run_at > func.now(), const_bool(False))


def delete_tasks(was: CTE, actor: ColumnElement[str], details: Any) -> Select[Any]:
    """Delete the tasks of `was` (id, status), which has locked them, with all that belongs to them. Returns their ids.

    Their history stays and gets a row for the deletion, and so do the rows that say who depends on them: a dependent
    may still ask what became of them. A task whose end is still to be resolved for its dependents is kept.
    """
    deleted = (
        delete(Task)
        .where(
            key_equals(Task.id, was.c.id), status_in_unindexed(Task.status, DELETE.sources), ~has_pending_dependents()
        )
        .returning(Task.id, Task.attempt, Task.type, Task.queue, was.c.status.label("was"))
        .cte("deleted")
    )
    # Analytics that has not counted the task's history yet reads these from here.
    type_and_queue = func.jsonb_build_object(const_text("type"), deleted.c.type, const_text("queue"), deleted.c.queue)
    history = (
        insert(TaskHistory)
        .from_select(
            ["task_id", "attempt", "from_status", "to_status", "actor", "details"],
            select(deleted.c.id, deleted.c.attempt, deleted.c.was, null(), actor, type_and_queue.concat(details)),
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
