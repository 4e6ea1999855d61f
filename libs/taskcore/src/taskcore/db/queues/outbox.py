"""The outbox: which tasks are due, which of them are sent, and which messages were lost on the way."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    Executable,
    Float,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import InstrumentedAttribute

from taskcore.db.models import Outbox, Queue, Task, TaskAttempt, Worker
from taskcore.db.sql import (
    bigint_param,
    bigints_param,
    const_bool,
    interval,
    key_equals,
    status_in,
    status_in_unindexed,
)
from taskcore.domain.states import CLAIMABLE

DUE_LIMIT = 10_000
COUNT_LIMIT = 20_000


@cache
def promote_due() -> Executable:
    """Mark delays and retries whose time has come as due. Answers their queues; repeat while `DUE_LIMIT` come."""
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
    """Seconds until the next delay or retry is due; no value when there is none."""
    wait = func.min(Outbox.available_at) - func.now()
    return select(func.extract("epoch", wait)).where(~Outbox.is_due)


@cache
def queue_loads() -> Executable:
    """Per queue: its name, whether rows wait to be sent, how many are sent and unclaimed, and its live slots.

    Of a paused queue nothing is to be sent.
    """
    to_send: Select[Any] = (
        select(literal_column("1"))
        .where(Outbox.queue == Queue.name, Outbox.is_due, Outbox.dispatched_at.is_(None))
        .limit(1)
        .correlate(Queue)
    )
    sent = (
        select(literal_column("1").label("one"))
        .where(Outbox.queue == Queue.name, Outbox.dispatched_at.is_not(None))
        .limit(COUNT_LIMIT)
        .correlate(Queue)
        .subquery()
    )
    return select(
        Queue.name,
        and_(Queue.paused_at.is_(None), exists(to_send)).label("has_backlog"),
        select(func.count()).select_from(sent).scalar_subquery().label("in_flight"),
        live_slots(Queue.name).label("live_slots"),
    )


def live_slots(queue: InstrumentedAttribute[str]) -> ScalarSelect[int]:
    """How many tasks of `queue` live workers can run at once."""
    return (
        select(func.coalesce(func.sum(Worker.slots), 0))
        .where(or_(func.cardinality(Worker.queues) == 0, queue == func.any(Worker.queues)))
        .where(Worker.seen_at + interval(Worker.lease_s) >= func.now())
        .scalar_subquery()
    )


def paused_queues() -> Select[str]:
    return select(Queue.name).where(Queue.paused_at.is_not(None))


@cache
def dispatch() -> Executable:
    """Mark the next `room` rows of the queue `of` as sent. Answers their task ids, by priority, then by age."""
    marked = mark_dispatched()
    return select(marked.c.task_id).order_by(marked.c.priority.desc(), marked.c.task_id)


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


def mark_dispatched() -> CTE:
    """What `dispatch` marks: task_id, priority. Two relays never mark the same row: what is locked is skipped."""
    chosen = (
        select(Outbox.task_id)
        .where(Outbox.queue == bindparam("of"), Outbox.is_due, Outbox.dispatched_at.is_(None))
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
    """Un-mark `ids`: the broker did not confirm them."""
    return update(Outbox).where(Outbox.task_id == func.any(bigints_param())).values(dispatched_at=null())


@cache
def undispatch_all() -> Executable:
    """Un-mark every row: a broker that keeps its messages in memory has started anew."""
    return update(Outbox).where(Outbox.dispatched_at.is_not(None)).values(dispatched_at=null())


@cache
def undispatch_lost() -> Executable:
    """Un-mark the rows of the queue `of` whose message must be lost. Answers how many there were, by their ids.

    The broker still has `ready` messages; it is first in, first out, so those are the rows dispatched last. A row
    that is older than these and than `after_s` (doubled at each resend) has no message any more.
    """
    of_queue = and_(Outbox.queue == bindparam("of"), Outbox.dispatched_at.is_not(None))
    still_there = (
        select(Outbox.task_id)
        .where(of_queue)
        .order_by(Outbox.dispatched_at.desc(), Outbox.task_id.desc())
        .limit(bigint_param("ready"))
        .cte("still_there")
    )
    doubled = func.power(literal_column("2"), func.least(Outbox.redeliveries, literal_column("6")))
    patience = interval(bindparam("after_s", type_=Float) * doubled)
    return (
        update(Outbox)
        .where(of_queue, Outbox.dispatched_at < func.clock_timestamp() - patience)
        .where(Outbox.task_id.not_in(select(still_there.c.task_id)))
        .values(dispatched_at=null(), redeliveries=Outbox.redeliveries + 1)
        .returning(Outbox.task_id)
    )


@cache
def restore_missing_rows() -> Executable:
    """Give every waiting task between `after_id` and `until_id` that has no outbox row a new one. Answers their ids."""
    return (
        upsert(Outbox)
        .from_select(
            ["task_id", "queue", "priority", "is_due", "available_at"],
            select(Task.id, Task.queue, Task.priority, const_bool(True), func.now())
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
    """Delete the rows of tasks that do not wait: nobody can claim them. Answers their ids.

    Among those alone whose message was sent again: whoever gets it cannot claim the task, so it seems lost.
    """
    waits = exists().where(Task.id == Outbox.task_id, status_in_unindexed(Task.status, CLAIMABLE))
    return (
        delete(Outbox)
        .where(Outbox.dispatched_at.is_not(None), Outbox.redeliveries > literal_column("0"), ~waits)
        .returning(Outbox.task_id)
    )
