"""Dependency resolution: what the end of a task, or its retry, means for its dependents.

`Task.dependents_state` (see `DependentsState`) is the durable list of tasks to resolve. Any number of coordinators may
work on it at once: a task that has succeeded stays that way, and a transaction that cancels or blocks the dependents of
a task locks that task, so that it is not retried and does not finish at the same moment.

All of it goes in batches, so that nothing is locked for long. `unblock`, `cancel_descendants` and `find_reblockable`
examine the first `CHILDREN_LIMIT` dependents of each of `ids` with ids after `after_id`. For one parent at a time, each
dependent is examined once.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Executable,
    Select,
    and_,
    case,
    exists,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import aliased

from taskcore.db.models import Task, TaskDependency
from taskcore.db.sql import bigint_param, bigints_param, const_text, status_in, status_in_unindexed
from taskcore.db.tasks.dependencies import has_failed_parent, has_incomplete_parent, has_pending_dependents
from taskcore.db.tasks.transitions import (
    finished_columns,
    insert_history,
    insert_outbox,
    reset_columns,
    runs_in_future,
    update_status,
)
from taskcore.domain.dependencies import UNSUCCESSFUL, DependentsState
from taskcore.domain.outcomes import Reason
from taskcore.domain.states import CANCEL_DEPENDENT, REBLOCK, TERMINAL, UNBLOCK, Status
from taskcore.domain.tasks import COORDINATOR

PARENTS_LIMIT = 100
CHILDREN_LIMIT = 1_000

_ACTOR = const_text(COORDINATOR)
_Child = aliased(Task)


@cache
def pending_parents() -> Executable:
    """(id, status, dependents_state) of tasks to resolve: finished while dependents wait, or retried."""
    has_ended = and_(_is_in(DependentsState.PENDING), status_in(Task.status, TERMINAL))
    rows = select(Task.id, Task.status, Task.dependents_state).where(or_(_is_in(DependentsState.REBLOCK), has_ended))
    return rows.order_by(Task.id).limit(PARENTS_LIMIT)


@cache
def unblock() -> Executable:
    """Queue the dependents of `ids` all of whose parents have succeeded. Returns (examined, last_id, changed)."""
    edges = _examined_edges()
    rows = select(Task.id, Task.status).where(Task.id.in_(select(edges.c.task_id)))
    rows = rows.where(status_in_unindexed(Task.status, UNBLOCK.sources), ~has_incomplete_parent()).order_by(Task.id)
    becomes = case((runs_in_future(), const_text(Status.SCHEDULED)), else_=const_text(Status.QUEUED))
    unblocked = update_status(rows.with_for_update(of=Task).cte("was"), UNBLOCK.sources, becomes)
    return _progress(edges, unblocked).add_cte(insert_history(unblocked, _ACTOR), insert_outbox(unblocked))


@cache
def cancel_descendants() -> Executable:
    """Cancel tasks that wait, directly or not, for `ids`, which failed or were cancelled: up to `CHILDREN_LIMIT`.

    Returns (examined, last_id, changed). If others depend on a cancelled task, it has to be resolved next.
    """
    edges = _examined_edges()
    descendants = _descendants(edges)
    locked = _locked(descendants)
    root = locked.alias("root")
    # Of each descendant the smallest root that is still unsuccessful now that it is locked: a retry may have come
    # first.
    is_unsuccessful = root.c.status.in_([const_text(s) for s in sorted(UNSUCCESSFUL)])
    causes = (
        select(descendants.c.id, func.min(descendants.c.root).label("root"))
        .join(root, and_(root.c.id == descendants.c.root, is_unsuccessful))
        .group_by(descendants.c.id)
        .cte("causes")
    )
    was = (
        select(locked.c.id, locked.c.status, causes.c.root, root.c.status.label("how"))
        .join(causes, causes.c.id == locked.c.id)
        .join(root, root.c.id == causes.c.root)
        .cte("was")
    )
    failed = const_text(Status.FAILED)  # also the word of the sentence below
    how = case((was.c.how == failed, failed), else_=const_text("was cancelled"))
    error = func.concat(const_text("task "), was.c.root, const_text(", on which it depends, "), how)
    reason = const_text(Reason.DEPENDENCY_FAILED)
    cancelled = update_status(
        was, CANCEL_DEPENDENT.sources, const_text(Status.CANCELLED), reason=reason, error=error, **finished_columns()
    )
    details = func.jsonb_build_object(const_text("reason"), reason, const_text("error"), cancelled.c.error)
    return _progress(edges, cancelled).add_cte(insert_history(cancelled, _ACTOR, details))


@cache
def find_reblockable() -> Executable:
    """The dependents of `ids`, which were retried, that may wait again. Returns (examined, last_id, changed, children).

    `changed` counts the `children`.
    """
    edges = _examined_edges()
    rows = select(Task.id).where(Task.id.in_(select(edges.c.task_id)), _is_reblockable()).cte("reblockable")
    children = select(func.array_agg(rows.c.id)).scalar_subquery().label("children")
    return _progress(edges, rows).add_columns(children)


@cache
def lock_with_parents() -> Executable:
    """Lock `ids`, `children` and all parents of the children until the transaction ends, in id order."""
    parents = select(TaskDependency.depends_on).where(TaskDependency.task_id == func.any(bigints_param("children")))
    rows = select(func.unnest(func.array_cat(bigints_param(), bigints_param("children")), type_=BigInteger)).union(
        parents
    )
    return select(Task.id).where(Task.id.in_(rows)).order_by(Task.id).with_for_update(key_share=True)


@cache
def reblock() -> Executable:
    """Block `children` again, after `lock_with_parents`. Returns their ids. Their own dependents follow."""
    rows = select(Task.id, Task.status).where(Task.id == func.any(bigints_param("children")), _is_reblockable())
    was = rows.order_by(Task.id).with_for_update(of=Task).cte("was")
    next_state = case((Task.dependents_state.is_not(None), const_text(DependentsState.REBLOCK)))
    blocked = update_status(
        was, REBLOCK.sources, const_text(Status.BLOCKED), dependents_state=next_state, **reset_columns()
    )
    return select(blocked.c.id).add_cte(insert_history(blocked, _ACTOR))


@cache
def mark_reblocked() -> Executable:
    """Move `ids` from REBLOCK to PENDING, after `lock_with_parents`, unless a dependent must still be blocked again.

    Returns the ids of those that were moved.
    """
    return _move_marker(DependentsState.REBLOCK, DependentsState.PENDING, ~_has_child(_is_reblockable(_Child)))


@cache
def mark_resolved() -> Executable:
    """Move `ids` from PENDING to RESOLVED, after `lock_tasks`, unless a dependent must still be unblocked or cancelled.

    Returns the ids of those that were moved.
    """
    can_unblock = and_(status_in_unindexed(_Child.status, UNBLOCK.sources), ~has_incomplete_parent(_Child))
    must_cancel = status_in_unindexed(_Child.status, CANCEL_DEPENDENT.sources)
    is_done = case(
        (status_in_unindexed(Task.status, {Status.SUCCEEDED}), ~_has_child(can_unblock)),
        (status_in_unindexed(Task.status, UNSUCCESSFUL), ~_has_child(must_cancel)),
    )
    return _move_marker(DependentsState.PENDING, DependentsState.RESOLVED, is_done)


@cache
def requeue_stuck() -> Executable:
    """Mark the parents of stuck tasks PENDING, so that they are resolved once more: for the sweep. Returns their ids.

    A task is stuck if it is blocked although all its parents have finished and none is still to be resolved.
    Parameters: after_id (exclusive) and until_id, the range of blocked tasks to examine.
    """
    is_unfinished = ~status_in_unindexed(Task.status, TERMINAL)
    parent = exists().where(TaskDependency.task_id == _Child.id, TaskDependency.depends_on == Task.id)
    stuck = (
        select(_Child.id)
        .where(status_in(_Child.status, {Status.BLOCKED}))
        .where(_Child.id > bigint_param("after_id"), _Child.id <= bigint_param("until_id"))
        .where(~parent.where(or_(is_unfinished, has_pending_dependents())))
    )
    parents = select(TaskDependency.depends_on).where(TaskDependency.task_id.in_(stuck))
    unresolved = select(Task.id).where(Task.id.in_(parents)).order_by(Task.id).with_for_update().cte("unresolved")
    pending = const_text(DependentsState.PENDING)
    return update(Task).where(Task.id == unresolved.c.id).values(dependents_state=pending).returning(Task.id)


def _examined_edges() -> CTE:
    """(task_id, depends_on): the next dependents of each of `ids`, read from the index in its order."""
    parent = select(func.unnest(bigints_param(), type_=BigInteger).label("id")).subquery("parent")
    following = (
        select(TaskDependency.task_id, TaskDependency.depends_on)
        .where(TaskDependency.depends_on == parent.c.id, TaskDependency.task_id > bigint_param("after_id"))
        .order_by(TaskDependency.task_id)
        .limit(CHILDREN_LIMIT)
        .lateral("following")
    )
    return select(following.c.task_id, following.c.depends_on).select_from(parent.join(following, true())).cte("edges")


def _progress(edges: CTE, changed: CTE) -> Select[int, int, int]:
    """(examined, last_id, changed): how many dependents were examined, the last of them, how many were changed."""
    counted = select(func.count()).select_from(changed).scalar_subquery()
    return select(func.count().label("examined"), func.max(edges.c.task_id).label("last_id"), counted.label("changed"))


def _descendants(edges: CTE) -> CTE:
    """(id, root): tasks that wait for the task `root` of `ids`: those of `edges`, then those that wait for these."""
    first = (
        select(edges.c.task_id.label("id"), edges.c.depends_on.label("root"))
        .join(_Child, _Child.id == edges.c.task_id)
        .where(status_in_unindexed(_Child.status, CANCEL_DEPENDENT.sources))
        .cte("reached", recursive=True)
    )
    further = (
        select(TaskDependency.task_id, first.c.root)
        .join(first, first.c.id == TaskDependency.depends_on)
        .join(_Child, _Child.id == TaskDependency.task_id)
        .where(status_in_unindexed(_Child.status, CANCEL_DEPENDENT.sources))
    )
    return select(first.union(further)).limit(CHILDREN_LIMIT).cte("descendants")


def _locked(descendants: CTE) -> CTE:
    concerned = select(descendants.c.id).union(select(descendants.c.root))
    rows = select(Task.id, Task.status).where(Task.id.in_(concerned)).order_by(Task.id)
    return rows.with_for_update(of=Task, key_share=True).cte("locked")


def _is_reblockable(of: type[Task] = Task) -> ColumnElement[bool]:
    """Its parent's end had cancelled it, and no parent stands in its way any more."""
    is_cancelled = status_in_unindexed(of.status, REBLOCK.sources)
    return and_(is_cancelled, of.reason == const_text(Reason.DEPENDENCY_FAILED), ~has_failed_parent(of))


def _has_child(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    is_child = TaskDependency.depends_on == Task.id, TaskDependency.task_id == _Child.id
    return exists().where(*is_child, condition)


def _is_in(state: DependentsState) -> ColumnElement[bool]:
    return Task.dependents_state == const_text(state)


def _move_marker(before: DependentsState, after: DependentsState, when: ColumnElement[bool]) -> Executable:
    chosen = Task.id == func.any(bigints_param()), _is_in(before), when
    return update(Task).where(*chosen).values(dependents_state=const_text(after)).returning(Task.id)
