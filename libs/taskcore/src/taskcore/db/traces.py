"""The traces of tasks: what they go on with, and what they are linked to."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Executable, and_, func, select

from taskcore.db.models import Task, TaskAttempt
from taskcore.db.parameters import ids


@cache
def followed() -> Executable:
    """Of `ids`, those that are followed: id, type, attempt (0: none so far), trace_context (of the submission).

    And trace_id and span_id of the last attempt, where those are known.
    """
    last = and_(TaskAttempt.task_id == Task.id, TaskAttempt.attempt == Task.attempt)
    return (
        select(Task.id, Task.type, Task.attempt, Task.trace_context, TaskAttempt.trace_id, TaskAttempt.span_id)
        .outerjoin(TaskAttempt, last)
        .where(Task.id == func.any(ids()), Task.trace_context.is_not(None))
    )
