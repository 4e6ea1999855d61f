"""Passing on: what the end of a task, or its retry by hand, means for the tasks that depend on it.

`Task.dependents_state` is the durable list of what is to be passed on. Any number of coordinators may do it at once: a task
that succeeded stays so, and who cancels or arms what depends on a task holds that task, so that it is not retried or
over in the same moment. In batches, so that nothing is locked for long.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import CTE, BigInteger, ColumnElement, Executable, and_, case, exists, func, or_, select, update
from sqlalchemy.orm import aliased

from taskcore.db.models import Task, TaskDependency
from taskcore.db.sql import bigint_param, bigints_param, const_bool, const_text, status_in, status_in_unindexed
from taskcore.db.tasks.dependencies import has_failed_parent, has_incomplete_parent
from taskcore.db.tasks.transitions import (
    finished_columns,
    insert_history,
    insert_outbox,
    reset_columns,
    runs_in_future,
    update_status,
)
from taskcore.domain.dependencies import UNSUCCESSFUL
from taskcore.domain.outcomes import Reason
from taskcore.domain.states import CANCEL_DEPENDENT, REBLOCK, TERMINAL, UNBLOCK, Status

PARENTS_LIMIT = 100
CHILDREN_LIMIT = 1_000

_ACTOR = const_text("coordinator")
_Child = aliased(Task)


@cache
def pending_parents() -> Executable:
    """(id, status, dependents) of tasks that are over while others wait for that, or that were retried by hand."""
    is_over = and_(Task.dependents_state == const_text("pending"), status_in(Task.status, TERMINAL))
    rows = select(Task.id, Task.status, Task.dependents_state).where(
        or_(Task.dependents_state == const_text("reblock"), is_over)
    )
    return rows.order_by(Task.id).limit(PARENTS_LIMIT)


@cache
def unblock() -> Executable:
    """Let those go of which `ids` were the last to succeed. Answers the ids of up to `CHILDREN_LIMIT` tasks."""
    rows = select(Task.id, Task.status).where(_depends_on_ids(), status_in_unindexed(Task.status, UNBLOCK.sources))
    rows = rows.where(~has_incomplete_parent()).order_by(Task.id).limit(CHILDREN_LIMIT)
    becomes = case((runs_in_future(), const_text(Status.SCHEDULED)), else_=const_text(Status.QUEUED))
    unblocked = update_status(rows.with_for_update(of=Task).cte("was"), UNBLOCK.sources, becomes)
    return select(unblocked.c.id).add_cte(insert_history(unblocked, _ACTOR), insert_outbox(unblocked))


@cache
def cancel_descendants() -> Executable:
    """Cancel what waits for `ids`, which came to nothing, and all that waits for that in turn.

    Answers the ids of at most `CHILDREN_LIMIT` tasks. Cancelled ones on which others depend are to be passed on too.
    """
    doomed = _descendants()
    locked = _locked(doomed)
    root = locked.alias("root")
    fate = (
        select(doomed.c.id, func.min(doomed.c.root).label("root"))
        .join(root, and_(root.c.id == doomed.c.root, root.c.status.in_([const_text(s) for s in sorted(UNSUCCESSFUL)])))
        .group_by(doomed.c.id)
        .cte("fate")
    )
    was = (
        select(locked.c.id, locked.c.status, fate.c.root, root.c.status.label("how"))
        .join(fate, fate.c.id == locked.c.id)
        .join(root, root.c.id == fate.c.root)
        .cte("was")
    )
    how = case((was.c.how == const_text(Status.FAILED), const_text("failed")), else_=const_text("was cancelled"))
    error = func.concat(const_text("task "), was.c.root, const_text(", on which it depends, "), how)
    reason = const_text(Reason.DEPENDENCY_FAILED)
    cancelled = update_status(
        was, CANCEL_DEPENDENT.sources, const_text(Status.CANCELLED), reason=reason, error=error, **finished_columns()
    )
    details = func.jsonb_build_object(const_text("reason"), reason, const_text("error"), cancelled.c.error)
    return select(cancelled.c.id).add_cte(insert_history(cancelled, _ACTOR, details))


@cache
def find_reblockable() -> Executable:
    """The ids of tasks that may wait again for `ids`, which were retried by hand; up to `CHILDREN_LIMIT`."""
    rows = select(Task.id).where(_depends_on_ids(), _is_reblockable())
    return rows.order_by(Task.id).limit(CHILDREN_LIMIT)


@cache
def lock_with_parents() -> Executable:
    """Lock `ids`, `children`, and all that the latter depend on, until the transaction ends, in id order."""
    parents = select(TaskDependency.depends_on).where(TaskDependency.task_id == func.any(bigints_param("children")))
    family = select(func.unnest(func.array_cat(bigints_param(), bigints_param("children")), type_=BigInteger)).union(
        parents
    )
    return select(Task.id).where(Task.id.in_(family)).order_by(Task.id).with_for_update(key_share=True)


@cache
def reblock() -> Executable:
    """Let `children` wait again, after `hold_families`. Answers their ids. What depends on them follows."""
    rows = select(Task.id, Task.status).where(Task.id == func.any(bigints_param("children")), _is_reblockable())
    was = rows.order_by(Task.id).with_for_update(of=Task).cte("was")
    again = case((Task.dependents_state.is_not(None), const_text("reblock")))
    armed = update_status(was, REBLOCK.sources, const_text(Status.BLOCKED), dependents_state=again, **reset_columns())
    return select(armed.c.id).add_cte(insert_history(armed, _ACTOR))


@cache
def mark_reblocked() -> Executable:
    """What was to be armed again for `ids` is, so that their end is awaited; after `hold_families`. Answers the ids."""
    left = exists().where(TaskDependency.depends_on == Task.id, TaskDependency.task_id == _Child.id)
    left = left.where(
        status_in_unindexed(_Child.status, REBLOCK.sources),
        _Child.reason == const_text(Reason.DEPENDENCY_FAILED),
        ~has_failed_parent(_Child),
    )
    return _move_marker("reblock", "pending", ~left)


@cache
def mark_resolved() -> Executable:
    """Nothing is left to be done for those of `ids` that none waits for; after `hold_all`. Answers their ids."""
    waits = exists().where(TaskDependency.depends_on == Task.id, TaskDependency.task_id == _Child.id)
    is_free = and_(status_in_unindexed(_Child.status, UNBLOCK.sources), ~has_incomplete_parent(_Child))
    is_doomed = status_in_unindexed(_Child.status, CANCEL_DEPENDENT.sources)
    is_done = case(
        (status_in_unindexed(Task.status, {Status.SUCCEEDED}), ~waits.where(is_free)),
        (status_in_unindexed(Task.status, UNSUCCESSFUL), ~waits.where(is_doomed)),
    )
    return _move_marker("pending", "resolved", is_done)


@cache
def requeue_stuck() -> Executable:
    """For the sweep: what blocked tasks with ids after `after_id`, up to `until_id`, wait for, if all of it is over.

    It is to be passed on once more. Answers its ids.
    """
    is_open = ~status_in_unindexed(Task.status, TERMINAL)
    is_coming = func.coalesce(
        Task.dependents_state.in_([const_text("pending"), const_text("reblock")]), const_bool(False)
    )
    hope = exists().where(TaskDependency.task_id == _Child.id, TaskDependency.depends_on == Task.id)
    stuck = (
        select(_Child.id)
        .where(status_in(_Child.status, {Status.BLOCKED}))
        .where(_Child.id > bigint_param("after_id"), _Child.id <= bigint_param("until_id"))
        .where(~hope.where(or_(is_open, is_coming)))
    )
    parents = select(TaskDependency.depends_on).where(TaskDependency.task_id.in_(stuck))
    forgotten = select(Task.id).where(Task.id.in_(parents)).order_by(Task.id).with_for_update().cte("forgotten")
    return (
        update(Task).where(Task.id == forgotten.c.id).values(dependents_state=const_text("pending")).returning(Task.id)
    )


def _depends_on_ids() -> ColumnElement[bool]:
    return Task.id.in_(select(TaskDependency.task_id).where(TaskDependency.depends_on == func.any(bigints_param())))


def _descendants() -> CTE:
    """(id, root): what waits, directly or not, for the task `root` of `ids`."""
    first = (
        select(TaskDependency.task_id.label("id"), TaskDependency.depends_on.label("root"))
        .join(_Child, _Child.id == TaskDependency.task_id)
        .where(
            TaskDependency.depends_on == func.any(bigints_param()),
            status_in_unindexed(_Child.status, CANCEL_DEPENDENT.sources),
        )
        .cte("reached", recursive=True)
    )
    further = (
        select(TaskDependency.task_id, first.c.root)
        .join(first, first.c.id == TaskDependency.depends_on)
        .join(_Child, _Child.id == TaskDependency.task_id)
        .where(status_in_unindexed(_Child.status, CANCEL_DEPENDENT.sources))
    )
    return select(first.union(further)).limit(CHILDREN_LIMIT).cte("doomed")


def _locked(doomed: CTE) -> CTE:
    concerned = select(doomed.c.id).union(select(doomed.c.root))
    rows = select(Task.id, Task.status).where(Task.id.in_(concerned)).order_by(Task.id)
    return rows.with_for_update(of=Task, key_share=True).cte("locked")


def _is_reblockable() -> ColumnElement[bool]:
    was_cascaded = and_(
        status_in_unindexed(Task.status, REBLOCK.sources), Task.reason == const_text(Reason.DEPENDENCY_FAILED)
    )
    return and_(was_cascaded, ~has_failed_parent())


def _move_marker(before: str, after: str, when: ColumnElement[bool]) -> Executable:
    chosen = Task.id == func.any(bigints_param()), Task.dependents_state == const_text(before), when
    return update(Task).where(*chosen).values(dependents_state=const_text(after)).returning(Task.id)
