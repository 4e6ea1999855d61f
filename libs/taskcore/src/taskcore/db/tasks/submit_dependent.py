"""Submit tasks that depend on others.

In one transaction: `dependencies.lock_tasks` for the parents, a look at their states, `submit_planned`, and
`add_dependencies`. The parents are locked, so their ends come after.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import msgspec
from sqlalchemy import BigInteger, Executable, Text, and_, case, func, insert, literal_column, null, or_, select, update

from taskcore.db.models import Task, TaskDependency, TaskHistory
from taskcore.db.sql import actor_param, const_text, interval, recordset, status_in_unindexed
from taskcore.db.tasks.submit import TASK_COLUMNS, insert_queues, insert_tasks, with_trace_context
from taskcore.db.tasks.transitions import insert_outbox
from taskcore.domain.dependencies import UNSUCCESSFUL, DependencyState, DependentsState
from taskcore.domain.outcomes import Reason
from taskcore.domain.states import TERMINAL, Status
from taskcore.domain.tasks import NewTask


def submit_planned(
    tasks: Sequence[tuple[NewTask, DependencyState]], by: str = "api", trace_context: str | None = None
) -> tuple[Executable, dict[str, str | None]]:
    """As `submit.submit`, for tasks that start as planned by `plan_start`."""
    traced = with_trace_context([task for task, _ in tasks], trace_context)
    starts = (start for _, start in tasks)
    rows = [
        msgspec.to_builtins(task) | {"starts": start.status, "why": start.error}
        for task, start in zip(traced, starts, strict=True)
    ]
    return _submit_planned(), {"rows": msgspec.json.encode(rows).decode(), "by": by}


def add_dependencies(edges: Iterable[tuple[int, int]]) -> tuple[Executable, dict[str, str]]:
    """Return the statement that stores `edges`, pairs of a task and one of its parents, and its parameters."""
    rows = [{"child": child, "parent": parent} for child, parent in edges]
    return _add_dependencies(), {"rows": msgspec.json.encode(rows).decode()}


@cache
def _submit_planned() -> Executable:
    asked = recordset("asked", **TASK_COLUMNS, starts=Text, why=Text)
    is_cancelled = asked.c.starts == const_text(Status.CANCELLED)
    is_free = asked.c.starts == const_text(Status.QUEUED)
    status = case((and_(is_free, asked.c.run_at > func.now()), const_text(Status.SCHEDULED)), else_=asked.c.starts)
    planned = {
        "status": status,
        "reason": case((is_cancelled, const_text(Reason.DEPENDENCY_FAILED))),
        "error": asked.c.why,
        "finished_at": case((is_cancelled, func.now())),
        "delete_at": case((is_cancelled, func.now() + interval(asked.c.delete_after_s))),
    }
    stored = insert_tasks(asked, planned, Task.reason, Task.error)
    details = func.jsonb_build_object(const_text("reason"), stored.c.reason, const_text("error"), stored.c.error)
    history = (
        insert(TaskHistory)
        .from_select(
            ["task_id", "attempt", "to_status", "actor", "details"],
            select(
                stored.c.id,
                literal_column("0"),
                stored.c.status,
                actor_param(),
                case((stored.c.error.is_not(None), details), else_=null()),
            ),
        )
        .cte("history")
    )
    answer = select(stored.c.id, stored.c.idempotency_key, stored.c.status, stored.c.created_at)
    return answer.order_by(stored.c.id).add_cte(history, insert_outbox(stored), insert_queues(stored))


@cache
def _add_dependencies() -> Executable:
    """Store the dependencies, and mark each unfinished parent as having dependents to resolve.

    Nothing is left to resolve for a parent that has already failed or been cancelled.
    """
    given = recordset("given", child=BigInteger, parent=BigInteger)
    edges = (
        insert(TaskDependency)
        .from_select(["task_id", "depends_on"], select(given.c.child, given.c.parent))
        .returning(TaskDependency.depends_on)
        .cte("edges")
    )
    is_finished = status_in_unindexed(Task.status, TERMINAL)
    is_resolved = Task.dependents_state == const_text(DependentsState.RESOLVED)
    needs_change = or_(Task.dependents_state.is_(None), and_(~is_finished, is_resolved))
    parents = (
        select(Task.id)
        .where(
            Task.id.in_(select(edges.c.depends_on)), needs_change, ~status_in_unindexed(Task.status, {Status.SUCCEEDED})
        )
        .order_by(Task.id)
        .with_for_update(of=Task)
        .cte("parents")
    )
    new_state = case(
        (status_in_unindexed(Task.status, UNSUCCESSFUL), const_text(DependentsState.RESOLVED)),
        else_=const_text(DependentsState.PENDING),
    )
    return update(Task).where(Task.id == parents.c.id).values(dependents_state=new_state)
