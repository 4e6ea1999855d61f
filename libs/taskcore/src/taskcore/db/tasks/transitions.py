"""What every change of waiting or finished tasks is made of: the tasks, locked; the update; its history; the outbox.

A change is one guarded statement put together from these.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, ColumnElement, case, delete, func, insert, literal_column, null, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from taskcore.db.models import Outbox, Task, TaskHistory
from taskcore.db.sql import by_key, flag, interval, stands_at, still_at, word
from taskcore.domain.states import Status


def standing(sources: Iterable[Status], which: ColumnElement[bool], limit: int | None = None) -> CTE:
    """The tasks of `which` that stand at one of `sources`, locked in id order, with the status they had."""
    rows = select(Task.id, Task.status).where(which, stands_at(Task.status, sources))
    return rows.order_by(Task.id).limit(limit).with_for_update(of=Task).cte("was")


def changed(was: CTE, sources: Iterable[Status], becomes: ColumnElement[str], **values: Any) -> CTE:
    """The tasks of `was` (id, status), now at the status `becomes`."""
    return (
        update(Task)
        .where(by_key(Task.id, was.c.id), still_at(Task.status, sources))
        .values(status=becomes, **values)
        .returning(
            Task.id,
            Task.attempt,
            Task.queue,
            Task.priority,
            Task.run_at,
            Task.status,
            Task.dependents,
            Task.error,
            was.c.status.label("was"),
        )
        .cte("changed")
    )


def told(rows: CTE, actor: ColumnElement[str], details: Any = None) -> CTE:
    """The history of what is `changed`."""
    return (
        insert(TaskHistory)
        .from_select(
            ["task_id", "attempt", "from_status", "to_status", "actor", "details"],
            select(rows.c.id, rows.c.attempt, rows.c.was, rows.c.status, actor, null() if details is None else details),
        )
        .cte("history")
    )


def dropped(rows: CTE) -> CTE:
    """Whatever was `changed` may not be claimed any more."""
    return delete(Outbox).where(by_key(Outbox.task_id, rows.c.id)).returning(Outbox.task_id).cte("dropped")


def sent(rows: CTE) -> CTE:
    """Outbox rows for those that were `changed` to queued, due now, or to scheduled, due at their `run_at`."""
    is_queued = rows.c.status == word(Status.QUEUED)
    available_at = case((is_queued, func.now()), else_=rows.c.run_at)
    columns = ["task_id", "queue", "priority", "is_due", "available_at"]
    made = upsert(Outbox).from_select(
        columns,
        select(rows.c.id, rows.c.queue, rows.c.priority, is_queued, available_at).where(
            rows.c.status.in_([word(Status.QUEUED), word(Status.SCHEDULED)])
        ),
    )
    # There should be none; but one that was left behind must not keep the task from running.
    fresh = {name: made.excluded[name] for name in columns[1:]} | {"dispatched_at": null()}
    return made.on_conflict_do_update(index_elements=[Outbox.task_id], set_=fresh).cte("outbox_rows")


def over() -> dict[str, ColumnElement[datetime]]:
    """What an end sets, besides the status."""
    return {"finished_at": func.now(), "delete_at": func.now() + interval(Task.delete_after_s)}


def anew() -> dict[str, ColumnElement[Any]]:
    """What a task that was over forgets when it is to run once more, with all its attempts."""
    nothing = ("delete_at", "progress", "checkpoint", "result", "error", "reason", "started_at", "finished_at")
    return {
        **{name: literal_column("0") for name in ("failures", "crashes", "losses")},
        "alone": flag(False),
        **{name: null() for name in nothing},
    }


def is_ahead() -> ColumnElement[bool]:
    """The `run_at` of the task at hand."""
    return func.coalesce(Task.run_at > func.now(), flag(False))
