"""The traces of tasks: what they go on with, and what they are linked to."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Executable, and_, select

from taskcore.db.models import Task, TaskAttempt
from taskcore.db.outbox import marked_as_sent


@cache
def dispatch() -> Executable:
    """As `outbox.dispatch`. Of what is followed it answers type, attempt (0: none so far) and trace_context, too.

    And trace_id and span_id of the last attempt, where those are known.
    """
    marked = marked_as_sent()
    last = and_(TaskAttempt.task_id == Task.id, TaskAttempt.attempt == Task.attempt)
    return (
        select(marked.c.task_id, Task.type, Task.attempt, Task.trace_context, TaskAttempt.trace_id, TaskAttempt.span_id)
        .outerjoin(Task, and_(Task.id == marked.c.task_id, Task.trace_context.is_not(None)))
        .outerjoin(TaskAttempt, last)
        .order_by(marked.c.priority.desc(), marked.c.task_id)
    )
