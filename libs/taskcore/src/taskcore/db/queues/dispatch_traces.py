"""The traces of tasks: what they go on with, and what they are linked to."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Executable, and_, literal_column, select, true

from taskcore.db.models import Task, TaskAttempt
from taskcore.db.queues.outbox import mark_dispatched
from taskcore.db.sql import key_equals


@cache
def dispatch_traced() -> Executable:
    """As `outbox.dispatch`. Of what is followed it answers type, attempt (0: none so far) and trace_context, too.

    And trace_id and span_id of the last attempt, where those are known.
    """
    marked = mark_dispatched()
    last = and_(key_equals(TaskAttempt.task_id, Task.id), TaskAttempt.attempt == Task.attempt)
    followed = (
        select(Task.type, Task.attempt, Task.trace_context, TaskAttempt.trace_id, TaskAttempt.span_id)
        .outerjoin_from(Task, TaskAttempt, last)
        .where(Task.id == marked.c.task_id, Task.trace_context.is_not(None))
        .limit(literal_column("1"))  # by key, whatever the planner thinks of reading all of them at once
        .lateral()
    )
    return (
        select(marked.c.task_id, *followed.c)
        .select_from(marked.outerjoin(followed, true()))
        .order_by(marked.c.priority.desc(), marked.c.task_id)
    )
