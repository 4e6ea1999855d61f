"""What a task depends on, and what depends on it.

A task that succeeded stays so: whoever sees all dependencies of a task succeeded may act on it. Everything else may
change meanwhile: whoever blocks a task first locks it and what it depends on (`hold`), and then looks, in a statement
of its own; so the end of any of those, and what `passing_on` makes of it, comes after.

A dependency that is gone had succeeded, unless its history says otherwise.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import ColumnElement, Executable, Select, and_, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from taskcore.db.models import Task, TaskDependency, TaskHistory
from taskcore.db.sql import bigint_param, bigints_param, const_bool, const_text, status_in_unindexed
from taskcore.domain.dependencies import UNSUCCESSFUL
from taskcore.domain.states import Status

_Parent = aliased(Task)
_Edge = aliased(TaskDependency)


@cache
def lock_task_and_parents() -> Executable:
    """Lock `task` and all that it depends on until the transaction ends, in id order. Parameter: task."""
    parents = select(TaskDependency.depends_on).where(TaskDependency.task_id == bigint_param("task"))
    return _locked(Task.id.in_(select(bigint_param("task")).union_all(parents)))


@cache
def lock_tasks() -> Executable:
    """Lock `ids` until the transaction ends, in id order. Answers (id, status) of those that there are."""
    return _locked(Task.id == bigints_param().any_())


@cache
def deleted_outcomes() -> Executable:
    """Of `ids`, which are deleted, those that had succeeded."""
    deleted = TaskHistory.task_id == bigints_param().any_(), TaskHistory.to_status.is_(None)
    return select(
        TaskHistory.task_id, (TaskHistory.from_status == const_text(Status.SUCCEEDED)).label("had_succeeded")
    ).where(*deleted)


@cache
def failed_dependency() -> Executable:
    """The first dependency of `task` that came to nothing: id, and status unless it is gone."""
    return _failed(bigint_param("task")).order_by(_Edge.depends_on).limit(1)


@cache
def list_dependencies() -> Executable:
    """(id, name, status) of what `task` depends on, with ids after `after_id`, up to `most`; nulls once it is gone."""
    return _related(TaskDependency.depends_on, TaskDependency.task_id)


@cache
def list_dependents() -> Executable:
    """As `list_dependencies`, of what depends on `task`."""
    return _related(TaskDependency.task_id, TaskDependency.depends_on)


@cache
def find_awaited() -> Executable:
    """Whether others wait for `task`: a row when they do. Parameter: task."""
    return select(Task.id).where(Task.id == bigint_param("task"), has_pending_dependents())


def has_pending_dependents() -> ColumnElement[bool]:
    """Others wait for the end of the task at hand, or for what becomes of it."""
    return func.coalesce(Task.dependents_state.in_([const_text("pending"), const_text("reblock")]), const_bool(False))


def has_incomplete_parent(of: type[Task] = Task) -> ColumnElement[bool]:
    """Some dependency of the task at hand has not succeeded."""
    return exists().where(
        _Edge.task_id == of.id,
        _Parent.id == _Edge.depends_on,
        ~status_in_unindexed(_Parent.status, {Status.SUCCEEDED}),
    )


def has_failed_parent(of: type[Task] = Task) -> ColumnElement[bool]:
    """Some dependency of the task at hand has failed, was cancelled, or is gone and had not succeeded."""
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
