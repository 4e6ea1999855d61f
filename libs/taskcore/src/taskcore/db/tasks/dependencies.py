"""What a task depends on, and what depends on it. A dependency is also called the parent of its dependents.

A task that has succeeded stays that way, so any transaction that sees all parents of a task succeeded may act on it.
Everything else may change meanwhile. Therefore a transaction that blocks a task first locks it and its parents
(`lock_task_and_parents`) and then looks at them, in a statement of its own: a parent's end, and what
`dependency_resolution` does about it, comes after that.

A parent that has been deleted had succeeded, unless its history says otherwise.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import ColumnElement, Executable, Select, and_, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from taskcore.db.models import Task, TaskDependency, TaskHistory
from taskcore.db.sql import bigint_param, bigints_param, const_bool, const_text, status_in_unindexed
from taskcore.domain.dependencies import UNSUCCESSFUL, DependentsState
from taskcore.domain.states import Status

_Parent = aliased(Task)
_Edge = aliased(TaskDependency)


@cache
def lock_task_and_parents() -> Executable:
    """Lock `task` and its parents until the transaction ends, in id order. Parameter: task."""
    parents = select(TaskDependency.depends_on).where(TaskDependency.task_id == bigint_param("task"))
    return _locked(Task.id.in_(select(bigint_param("task")).union_all(parents)))


@cache
def lock_tasks() -> Executable:
    """Lock `ids` until the transaction ends, in id order. Returns (id, status) of those that exist."""
    return _locked(Task.id == bigints_param().any_())


@cache
def deleted_outcomes() -> Executable:
    """Return (task_id, had_succeeded) of those of `ids` that have been deleted."""
    deleted = TaskHistory.task_id == bigints_param().any_(), TaskHistory.to_status.is_(None)
    return select(
        TaskHistory.task_id, (TaskHistory.from_status == const_text(Status.SUCCEEDED)).label("had_succeeded")
    ).where(*deleted)


@cache
def failed_dependency() -> Executable:
    """The first parent of `task` that failed or was cancelled: its id, and its status (null if it is deleted)."""
    return _failed(bigint_param("task")).order_by(_Edge.depends_on).limit(1)


@cache
def list_dependencies() -> Executable:
    """(id, name, status) of the parents of `task` with ids after `after_id`, up to `most`.

    Name and status of a deleted one are null.
    """
    return _related(TaskDependency.depends_on, TaskDependency.task_id)


@cache
def list_dependents() -> Executable:
    """As `list_dependencies`, for the tasks that depend on `task`."""
    return _related(TaskDependency.task_id, TaskDependency.depends_on)


@cache
def find_awaited() -> Executable:
    """Return a row if dependents of `task` wait for it. Parameter: task."""
    return select(Task.id).where(Task.id == bigint_param("task"), has_pending_dependents())


def has_pending_dependents() -> ColumnElement[bool]:
    """Dependents of the current row's task wait for its end, or for what its end means to them."""
    unresolved = [const_text(DependentsState.PENDING), const_text(DependentsState.REBLOCK)]
    return func.coalesce(Task.dependents_state.in_(unresolved), const_bool(False))


def has_incomplete_parent(of: type[Task] = Task) -> ColumnElement[bool]:
    """Some parent of the current row's task has not succeeded."""
    return exists().where(
        _Edge.task_id == of.id,
        _Parent.id == _Edge.depends_on,
        ~status_in_unindexed(_Parent.status, {Status.SUCCEEDED}),
    )


def has_failed_parent(of: type[Task] = Task) -> ColumnElement[bool]:
    """Some parent of the current row's task has failed, was cancelled, or was deleted without having succeeded."""
    return _failed(of.id).correlate(of).exists()


def _failed(task_id: ColumnElement[int] | InstrumentedAttribute[int]) -> Select[int, str]:
    had_succeeded = exists().where(
        TaskHistory.task_id == _Edge.depends_on,
        TaskHistory.to_status.is_(None),
        TaskHistory.from_status == const_text(Status.SUCCEEDED),
    )
    return (
        select(_Edge.depends_on.label("id"), _Parent.status)
        .join_from(_Edge, _Parent, _Parent.id == _Edge.depends_on, isouter=True)
        .where(_Edge.task_id == task_id)
        .where(or_(status_in_unindexed(_Parent.status, UNSUCCESSFUL), and_(_Parent.id.is_(None), ~had_succeeded)))
    )


def _related(their: InstrumentedAttribute[int], its: InstrumentedAttribute[int]) -> Select[int, str, str]:
    return (
        select(their.label("id"), Task.name, Task.status)
        .join_from(TaskDependency, Task, Task.id == their, isouter=True)
        .where(its == bigint_param("task"), their > bigint_param("after_id"))
        .order_by(their)
        .limit(bigint_param("most"))
    )


def _locked(which: ColumnElement[bool]) -> Executable:
    return select(Task.id, Task.status).where(which).order_by(Task.id).with_for_update(key_share=True)
