"""What goes with a deleted task: its attempts, logs, outbox row and dependencies. Its history stays and says so.

That others depend on it stays too: whoever is still to run may learn what became of it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, delete, func, insert, null, select

from taskcore.db.models import Outbox, Task, TaskAttempt, TaskDependency, TaskHistory, TaskLog
from taskcore.db.sql import const_text, key_equals, status_in_unindexed
from taskcore.db.tasks.dependencies import has_pending_dependents
from taskcore.domain.states import DELETE


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
