"""Queues come and go: which names are taken, which queues are in use, and how one is deleted.

A queue is deleted in two steps. First it is marked (`deleted_at`): workers stop consuming it with their next heartbeat.
Once it has no consumer any more, a coordinator deletes it from the broker, and then its row. A task that names a marked
queue takes the mark away, and so does a pause.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Executable,
    SQLColumnExpression,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    text,
    update,
)

from taskcore.db.models import Outbox, Queue, Schedule, Setting, Task, TaskType, Worker
from taskcore.db.queues.outbox import is_undispatched
from taskcore.db.sql import const_text, seconds_param, status_in, texts_param
from taskcore.db.workers.workers import IS_LIVE
from taskcore.domain.states import HELD, IDLE, Status

#: `used_at` is not written more often than this.
USE_INTERVAL_S = 60.0
#: A queue stays marked for at least as long, so that workers have had their heartbeat.
MARKED_S = 15.0
#: How many queues one statement looks at: with a large backlog in other queues, each may take a second.
EXAMINED = 10

_IS_MARKED = Queue.deleted_at.is_not(None)


@cache
def taken_names() -> CompoundSelect[str]:
    """The names of the queues that exist, and of those that schedules name."""
    named = Schedule.task["queue"].astext.label("name")
    return select(Queue.name).where(~_IS_MARKED).union(select(named).where(named.is_not(None)))


@cache
def queue_room() -> Executable:
    """One row: whether the name `of` is taken, how many names are, and the override of the setting `queues.max`."""
    taken = taken_names().subquery()
    is_taken = exists().where(taken.c.name == bindparam("of"))
    override = select(Setting.value).where(Setting.name == const_text("queues.max")).scalar_subquery()
    count = select(func.count()).select_from(taken).scalar_subquery()
    return select(is_taken.label("is_taken"), count.label("count"), override.label("override"))


@cache
def record_use() -> Executable:
    """Tasks of the queues `names` were sent just now."""
    is_due = Queue.used_at < func.now() - seconds_param("interval_s")
    return update(Queue).where(Queue.name == func.any(texts_param("names")), is_due).values(used_at=func.now())


@cache
def find_uses() -> Executable:
    """What the queue `of` is needed for: has_tasks, has_schedules, is_consumed, is_default. No row: no such queue.

    `is_consumed`: a live worker names it in `worker.queues`. `is_default`: it is the queue of a type that a live worker
    runs.
    """
    columns = [condition.label(name) for name, condition in _uses().items()]
    return select(*columns).where(Queue.name == bindparam("of"), ~_IS_MARKED)


@cache
def mark_queue() -> Executable:
    """Mark the queue `of`, unless it is in use. Returns its name."""
    return (
        update(Queue)
        .where(Queue.name == bindparam("of"), ~_IS_MARKED, ~or_(*_uses().values()))
        .values(deleted_at=func.now())
        .returning(Queue.name)
    )


@cache
def mark_unused() -> Executable:
    """Mark queues that have not been used for `after_s`, but no paused ones. Looks at the next `EXAMINED` such queues.

    A queue that is needed counts as used now: so each is looked at once in this time. Returns (name, deleted_at), which
    is null where it is needed.
    """
    old = (
        select(Queue.name, or_(*_uses().values()).label("is_needed"))
        .where(Queue.used_at < func.now() - seconds_param("after_s"), Queue.paused_at.is_(None), ~_IS_MARKED)
        .order_by(Queue.used_at)
        .limit(EXAMINED)
        .with_for_update(of=Queue, skip_locked=True)
        .cte("old")
    )
    return (
        update(Queue)
        .where(Queue.name == old.c.name)
        .values(
            used_at=case((old.c.is_needed, func.now()), else_=Queue.used_at),
            deleted_at=case((~old.c.is_needed, func.now())),
        )
        .returning(Queue.name, Queue.deleted_at)
    )


@cache
def marked_queues() -> Executable:
    """The names of the queues that have been marked for `marked_s`."""
    return select(Queue.name).where(Queue.deleted_at < func.now() - seconds_param("marked_s"))


@cache
def delete_queue() -> Executable:
    """Delete the row of the queue `of`, if it is still marked."""
    return delete(Queue).where(Queue.name == bindparam("of"), _IS_MARKED)


@cache
def restore_queues() -> Executable:
    """Create again the queues of due tasks that were deleted while those were submitted. Returns their names.

    Each name is one lookup in the index of what is to be sent, however large the backlog is.
    """
    return text("""
        WITH RECURSIVE named (queue) AS (
            (SELECT queue FROM outbox WHERE is_due AND dispatched_at IS NULL AND NOT is_parked ORDER BY queue LIMIT 1)
            UNION ALL
            SELECT (
                SELECT o.queue FROM outbox o
                WHERE o.is_due AND o.dispatched_at IS NULL AND NOT o.is_parked AND o.queue > named.queue
                ORDER BY o.queue LIMIT 1
            ) FROM named WHERE named.queue IS NOT NULL
        )
        INSERT INTO queue (name)
        SELECT queue FROM named
        WHERE queue IS NOT NULL
            AND NOT EXISTS (SELECT FROM queue WHERE queue.name = named.queue AND queue.deleted_at IS NULL)
        ON CONFLICT (name) DO UPDATE SET deleted_at = NULL, used_at = now()
        RETURNING name
    """)


def _uses() -> dict[str, ColumnElement[bool]]:
    """What needs the current row's queue, the cheapest to find first."""
    serves_type = and_(TaskType.queue == Queue.name, TaskType.name == func.any(Worker.types), IS_LIVE)
    return {
        "is_default": exists().where(serves_type),
        "is_consumed": exists().where(Queue.name == func.any(Worker.queues), IS_LIVE),
        "has_schedules": exists().where(Schedule.task["queue"].astext == Queue.name),
        "has_tasks": or_(*map(_has_rows, (is_undispatched(), Outbox.dispatched_at.is_not(None), Outbox.is_parked)))
        | or_(*map(_has_tasks, (HELD, IDLE))),
    }


def _has_rows(which: SQLColumnExpression[bool]) -> ColumnElement[bool]:
    """Outbox rows of the queue meet `which`, the condition of an index that begins with the queue."""
    return exists().where(Outbox.queue == Queue.name, which)


def _has_tasks(statuses: frozenset[Status]) -> ColumnElement[bool]:
    """Tasks of the queue have one of `statuses`, which have an index. It reads the tasks of other queues, too."""
    return exists().where(Task.queue == Queue.name, status_in(Task.status, statuses))
