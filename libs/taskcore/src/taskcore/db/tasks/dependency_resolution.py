"""Passing on: what the end of a task, or its retry by hand, means for the tasks that depend on it.

`Task.dependents` is the durable list of what is to be passed on. Any number of coordinators may do it at once: a task
that succeeded stays so, and who cancels or arms what depends on a task holds that task, so that it is not retried or
over in the same moment. In batches, so that nothing is locked for long.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import CTE, BigInteger, ColumnElement, Executable, and_, case, exists, func, or_, select, update
from sqlalchemy.orm import aliased

from taskcore.db.models import Task, TaskDependency
from taskcore.db.sql import flag, ids, number, stands_at, still_at, word
from taskcore.db.tasks.dependencies import is_in_vain, is_waiting_for_others
from taskcore.db.tasks.transitions import anew, changed, is_ahead, over, sent, told
from taskcore.domain.dependencies import CAME_TO_NOTHING
from taskcore.domain.outcomes import Reason
from taskcore.domain.states import CASCADE, REARM, TERMINAL, UNBLOCK, Status

PARENTS_LIMIT = 100
CHILDREN_LIMIT = 1_000

_ACTOR = word("coordinator")
_Child = aliased(Task)


@cache
def to_pass_on() -> Executable:
    """(id, status, dependents) of tasks that are over while others wait for that, or that were retried by hand."""
    is_over = and_(Task.dependents == word("awaited"), stands_at(Task.status, TERMINAL))
    rows = select(Task.id, Task.status, Task.dependents).where(or_(Task.dependents == word("rearm"), is_over))
    return rows.order_by(Task.id).limit(PARENTS_LIMIT)


@cache
def unblock() -> Executable:
    """Let those go of which `ids` were the last to succeed. Answers the ids of up to `CHILDREN_LIMIT` tasks."""
    rows = select(Task.id, Task.status).where(_depends_on_ids(), still_at(Task.status, UNBLOCK.sources))
    rows = rows.where(~is_waiting_for_others()).order_by(Task.id).limit(CHILDREN_LIMIT)
    becomes = case((is_ahead(), word(Status.SCHEDULED)), else_=word(Status.QUEUED))
    unblocked = changed(rows.with_for_update(of=Task).cte("was"), UNBLOCK.sources, becomes)
    return select(unblocked.c.id).add_cte(told(unblocked, _ACTOR), sent(unblocked))


@cache
def cascade() -> Executable:
    """Cancel what waits for `ids`, which came to nothing, and all that waits for that in turn.

    Answers the ids of at most `CHILDREN_LIMIT` tasks. Cancelled ones on which others depend are to be passed on too.
    """
    doomed = _doomed()
    locked = _locked(doomed)
    root = locked.alias("root")
    fate = (
        select(doomed.c.id, func.min(doomed.c.root).label("root"))
        .join(root, and_(root.c.id == doomed.c.root, root.c.status.in_([word(s) for s in sorted(CAME_TO_NOTHING)])))
        .group_by(doomed.c.id)
        .cte("fate")
    )
    was = (
        select(locked.c.id, locked.c.status, fate.c.root, root.c.status.label("how"))
        .join(fate, fate.c.id == locked.c.id)
        .join(root, root.c.id == fate.c.root)
        .cte("was")
    )
    how = case((was.c.how == word(Status.FAILED), word("failed")), else_=word("was cancelled"))
    error = func.concat(word("task "), was.c.root, word(", on which it depends, "), how)
    reason = word(Reason.DEPENDENCY_FAILED)
    cancelled = changed(was, CASCADE.sources, word(Status.CANCELLED), reason=reason, error=error, **over())
    details = func.jsonb_build_object(word("reason"), reason, word("error"), cancelled.c.error)
    return select(cancelled.c.id).add_cte(told(cancelled, _ACTOR, details))


@cache
def to_rearm() -> Executable:
    """The ids of tasks that may wait again for `ids`, which were retried by hand; up to `CHILDREN_LIMIT`."""
    rows = select(Task.id).where(_depends_on_ids(), _is_to_be_armed())
    return rows.order_by(Task.id).limit(CHILDREN_LIMIT)


@cache
def hold_families() -> Executable:
    """Lock `ids`, `children`, and all that the latter depend on, until the transaction ends, in id order."""
    parents = select(TaskDependency.depends_on).where(TaskDependency.task_id == func.any(ids("children")))
    family = select(func.unnest(func.array_cat(ids(), ids("children")), type_=BigInteger)).union(parents)
    return select(Task.id).where(Task.id.in_(family)).order_by(Task.id).with_for_update(key_share=True)


@cache
def rearm() -> Executable:
    """Let `children` wait again, after `hold_families`. Answers their ids. What depends on them follows."""
    rows = select(Task.id, Task.status).where(Task.id == func.any(ids("children")), _is_to_be_armed())
    was = rows.order_by(Task.id).with_for_update(of=Task).cte("was")
    again = case((Task.dependents.is_not(None), word("rearm")))
    armed = changed(was, REARM.sources, word(Status.BLOCKED), dependents=again, **anew())
    return select(armed.c.id).add_cte(told(armed, _ACTOR))


@cache
def armed() -> Executable:
    """What was to be armed again for `ids` is, so that their end is awaited; after `hold_families`. Answers the ids."""
    left = exists().where(TaskDependency.depends_on == Task.id, TaskDependency.task_id == _Child.id)
    left = left.where(
        still_at(_Child.status, REARM.sources),
        _Child.reason == word(Reason.DEPENDENCY_FAILED),
        ~is_in_vain(_Child),
    )
    return _marked("rearm", "awaited", ~left)


@cache
def passed_on() -> Executable:
    """Nothing is left to be done for those of `ids` that none waits for; after `hold_all`. Answers their ids."""
    waits = exists().where(TaskDependency.depends_on == Task.id, TaskDependency.task_id == _Child.id)
    is_free = and_(still_at(_Child.status, UNBLOCK.sources), ~is_waiting_for_others(_Child))
    is_doomed = still_at(_Child.status, CASCADE.sources)
    is_done = case(
        (still_at(Task.status, {Status.SUCCEEDED}), ~waits.where(is_free)),
        (still_at(Task.status, CAME_TO_NOTHING), ~waits.where(is_doomed)),
    )
    return _marked("awaited", "settled", is_done)


@cache
def remind() -> Executable:
    """For the sweep: what blocked tasks with ids after `after_id`, up to `until_id`, wait for, if all of it is over.

    It is to be passed on once more. Answers its ids.
    """
    is_open = ~still_at(Task.status, TERMINAL)
    is_coming = func.coalesce(Task.dependents.in_([word("awaited"), word("rearm")]), flag(False))
    hope = exists().where(TaskDependency.task_id == _Child.id, TaskDependency.depends_on == Task.id)
    stuck = (
        select(_Child.id)
        .where(stands_at(_Child.status, {Status.BLOCKED}))
        .where(_Child.id > number("after_id"), _Child.id <= number("until_id"))
        .where(~hope.where(or_(is_open, is_coming)))
    )
    parents = select(TaskDependency.depends_on).where(TaskDependency.task_id.in_(stuck))
    forgotten = select(Task.id).where(Task.id.in_(parents)).order_by(Task.id).with_for_update().cte("forgotten")
    return update(Task).where(Task.id == forgotten.c.id).values(dependents=word("awaited")).returning(Task.id)


def _depends_on_ids() -> ColumnElement[bool]:
    return Task.id.in_(select(TaskDependency.task_id).where(TaskDependency.depends_on == func.any(ids())))


def _doomed() -> CTE:
    """(id, root): what waits, directly or not, for the task `root` of `ids`."""
    first = (
        select(TaskDependency.task_id.label("id"), TaskDependency.depends_on.label("root"))
        .join(_Child, _Child.id == TaskDependency.task_id)
        .where(TaskDependency.depends_on == func.any(ids()), still_at(_Child.status, CASCADE.sources))
        .cte("reached", recursive=True)
    )
    further = (
        select(TaskDependency.task_id, first.c.root)
        .join(first, first.c.id == TaskDependency.depends_on)
        .join(_Child, _Child.id == TaskDependency.task_id)
        .where(still_at(_Child.status, CASCADE.sources))
    )
    return select(first.union(further)).limit(CHILDREN_LIMIT).cte("doomed")


def _locked(doomed: CTE) -> CTE:
    concerned = select(doomed.c.id).union(select(doomed.c.root))
    rows = select(Task.id, Task.status).where(Task.id.in_(concerned)).order_by(Task.id)
    return rows.with_for_update(of=Task, key_share=True).cte("locked")


def _is_to_be_armed() -> ColumnElement[bool]:
    was_cascaded = and_(still_at(Task.status, REARM.sources), Task.reason == word(Reason.DEPENDENCY_FAILED))
    return and_(was_cascaded, ~is_in_vain())


def _marked(before: str, after: str, when: ColumnElement[bool]) -> Executable:
    chosen = Task.id == func.any(ids()), Task.dependents == word(before), when
    return update(Task).where(*chosen).values(dependents=word(after)).returning(Task.id)
