"""The traces of tasks: what they go on with, and what they are linked to."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, literal_column, select, true
from sqlalchemy.sql.selectable import LateralFromClause

from taskcore.db.models import Task, TaskAttempt
from taskcore.db.outbox import marked_as_sent


@cache
def dispatch() -> Executable:
    """As `outbox.dispatch`. Of what is followed it answers type, attempt (0: none so far) and trace_context, too.

    And trace_id and span_id of the last attempt, where those are known.
    """
    marked = marked_as_sent()
    is_followed = Task.trace_context.is_not(None)
    task = _one(select(Task.type, Task.attempt, Task.trace_context), Task.id == marked.c.task_id, is_followed)
    is_last = (TaskAttempt.task_id == marked.c.task_id, TaskAttempt.attempt == task.c.attempt)
    last = _one(select(TaskAttempt.trace_id, TaskAttempt.span_id), *is_last)
    return (
        select(marked.c.task_id, *task.c, *last.c)
        .select_from(marked.outerjoin(task, true()).outerjoin(last, true()))
        .order_by(marked.c.priority.desc(), marked.c.task_id)
    )


def _one(row: Select[*tuple[Any, ...]], *where: ColumnElement[bool]) -> LateralFromClause:
    """Looked up for each row that it is joined to, whatever the planner thinks of reading all of them at once."""
    return row.where(*where).limit(literal_column("1")).lateral()
