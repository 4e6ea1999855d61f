"""The outbox: which tasks are due, which of them have been dispatched, and which messages were lost on the way."""

from __future__ import annotations

from functools import cache

from sqlalchemy import (
    CTE,
    ColumnElement,
    Executable,
    Float,
    Select,
    Update,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    null,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from taskcore.db.models import Outbox, Queue, Task, TaskAttempt
from taskcore.db.sql import (
    bigint_param,
    bigints_param,
    const_bool,
    interval,
    key_equals,
    status_in,
    status_in_unindexed,
    texts_param,
)
from taskcore.domain.states import CLAIMABLE

DUE_LIMIT = 10_000


@cache
def promote_due() -> Executable:
    """Mark delays and retries whose time has come as due.

    Returns their queues; repeat while it returns `DUE_LIMIT` rows.
    """
    due = (
        select(Outbox.task_id)
        .where(~Outbox.is_due, Outbox.available_at <= func.now())
        .order_by(Outbox.available_at)
        .limit(DUE_LIMIT)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return (
        update(Outbox)
        .where(key_equals(Outbox.task_id, due.c.task_id))
        .values(is_due=const_bool(True))
        .returning(Outbox.queue)
    )


@cache
def next_due() -> Executable:
    """Seconds until the next delay or retry is due; null when there is none."""
    wait = func.min(Outbox.available_at) - func.now()
    return select(func.extract("epoch", wait)).where(~Outbox.is_due)


def paused_queues() -> Select[str]:
    return select(Queue.name).where(Queue.paused_at.is_not(None))


@cache
def dispatch() -> Executable:
    """Mark the next `room` rows of the queue `of` whose type is one of `types` as dispatched.

    Returns their task ids, by priority, then by age.
    """
    marked = mark_dispatched()
    return select(marked.c.task_id).order_by(marked.c.priority.desc(), marked.c.task_id)


@cache
def dispatch_traced() -> Executable:
    """As `dispatch`. For traced tasks it also returns type, attempt (0: none so far) and trace_context.

    And trace_id and span_id of the last attempt, if they are known.
    """
    marked = mark_dispatched()
    last = and_(key_equals(TaskAttempt.task_id, Task.id), TaskAttempt.attempt == Task.attempt)
    traced = (
        select(Task.type, Task.attempt, Task.trace_context, TaskAttempt.trace_id, TaskAttempt.span_id)
        .outerjoin_from(Task, TaskAttempt, last)
        .where(Task.id == marked.c.task_id, Task.trace_context.is_not(None))
        .limit(literal_column("1"))  # forces a lookup by key, where the planner would read all tasks at once
        .lateral()
    )
    return (
        select(marked.c.task_id, *traced.c)
        .select_from(marked.outerjoin(traced, true()))
        .order_by(marked.c.priority.desc(), marked.c.task_id)
    )


def mark_dispatched() -> CTE:
    """(task_id, priority) of the rows that `dispatch` marks.

    Two relays never mark the same row: locked rows are skipped.
    """
    chosen = (
        select(Outbox.task_id)
        .where(is_undispatched(), Outbox.queue == bindparam("of"), Outbox.type == func.any(texts_param("types")))
        .where(Outbox.queue.not_in(paused_queues()))
        .order_by(Outbox.priority.desc(), Outbox.task_id)
        .limit(bigint_param("room"))
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    return (
        update(Outbox)
        .where(key_equals(Outbox.task_id, chosen.c.task_id))
        .values(dispatched_at=func.clock_timestamp())
        .returning(Outbox.task_id, Outbox.priority)
        .cte("marked")
    )


@cache
def undispatch() -> Executable:
    """Unmark `ids`: the broker did not confirm their messages."""
    return _unmark(lock_rows(Outbox.task_id == func.any(bigints_param())))


@cache
def undispatch_all() -> Executable:
    """Unmark every row: a broker that keeps its messages in memory has restarted."""
    return _unmark(lock_rows(Outbox.dispatched_at.is_not(None)))


@cache
def undispatch_lost() -> Executable:
    """Unmark the rows of the queue `of` whose message must have been lost. Returns their ids.

    The broker still has `ready` messages; it is first in, first out, so they belong to the rows dispatched last. A row
    that was dispatched before those, and longer ago than `after_s` (doubled with each redelivery), has no message any
    more. A row that a claim has locked is not lost.
    """
    of_queue = and_(Outbox.queue == bindparam("of"), Outbox.dispatched_at.is_not(None))
    still_queued = (
        select(Outbox.task_id)
        .where(of_queue)
        .order_by(Outbox.dispatched_at.desc(), Outbox.task_id.desc())
        .limit(bigint_param("ready"))
        .cte("still_queued")
    )
    doubled = func.power(literal_column("2"), func.least(Outbox.redeliveries, literal_column("6")))
    timeout = interval(bindparam("after_s", type_=Float) * doubled)
    is_lost = and_(
        of_queue,
        Outbox.dispatched_at < func.clock_timestamp() - timeout,
        Outbox.task_id.not_in(select(still_queued.c.task_id)),
    )
    unmarked = _unmark(lock_rows(is_lost, skip_locked=True)).values(redeliveries=Outbox.redeliveries + 1)
    return unmarked.returning(Outbox.task_id)


@cache
def restore_missing_rows() -> Executable:
    """Insert an outbox row for every waiting task between `after_id` and `until_id` that has none.

    They are due now, but not before their `run_at`. Returns their ids.
    """
    due_at = func.greatest(Task.run_at, func.now())  # without a null
    return (
        upsert(Outbox)
        .from_select(
            ["task_id", "queue", "type", "priority", "is_due", "available_at"],
            select(Task.id, Task.queue, Task.type, Task.priority, due_at <= func.now(), due_at)
            .where(
                status_in(Task.status, CLAIMABLE),
                Task.id > bigint_param("after_id"),
                Task.id <= bigint_param("until_id"),
            )
            .where(~exists().where(Outbox.task_id == Task.id)),
        )
        .on_conflict_do_nothing()
        .returning(Outbox.task_id)
    )


@cache
def delete_stale_rows() -> Executable:
    """Delete the rows of tasks that are not waiting: nobody can claim them. Returns their ids.

    Only rows whose message was sent again are examined: such a task cannot be claimed, so its message seems lost.
    """
    waits = exists().where(Task.id == Outbox.task_id, status_in_unindexed(Task.status, CLAIMABLE))
    was_resent = and_(Outbox.dispatched_at.is_not(None), Outbox.redeliveries > literal_column("0"))
    stale = lock_rows(and_(was_resent, ~waits), skip_locked=True)
    return delete(Outbox).where(key_equals(Outbox.task_id, stale.c.task_id)).returning(Outbox.task_id)


def is_undispatched() -> ColumnElement[bool]:
    """The condition of the index of the rows that the relay may dispatch."""
    return and_(Outbox.is_due, Outbox.dispatched_at.is_(None), ~Outbox.is_parked)


def lock_rows(which: ColumnElement[bool], *, skip_locked: bool = False) -> CTE:
    """The rows of `which`, locked in the order of their ids, as claims lock them: no two such statements deadlock."""
    in_order = Outbox.task_id + literal_column("0")  # forces a sort: the planner would read a whole index in this order
    rows = select(Outbox.task_id).where(which).order_by(in_order)
    return rows.with_for_update(skip_locked=skip_locked).cte("locked")


def _unmark(rows: CTE) -> Update:
    return update(Outbox).where(key_equals(Outbox.task_id, rows.c.task_id)).values(dispatched_at=null())
