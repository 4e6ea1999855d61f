"""Queues: how many tasks wait in each and for how long, which workers serve it, and pausing it."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Float,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from taskcore.db.models import Outbox, Queue, Task
from taskcore.db.queues.loads import live_slots
from taskcore.db.sql import actor_param, status_in
from taskcore.domain.states import HELD


@cache
def queue_names() -> Executable:
    return select(Queue.name).where(Queue.deleted_at.is_(None)).order_by(Queue.name)


@cache
def pause_queue() -> Executable:
    """Pause the queue `of`, whether it has tasks yet or not: no task of it is claimed. Parameters: of, why, by."""
    paused = {"paused_at": func.now(), "pause_reason": _why(), "paused_by": actor_param()}
    statement = upsert(Queue).values(name=bindparam("of"), **paused)
    return statement.on_conflict_do_update(
        index_elements=[Queue.name],
        set_=paused | {"paused_at": func.coalesce(Queue.paused_at, func.now()), "deleted_at": null()},
    )


@cache
def resume_queue() -> Executable:
    """Resume the queue `of`. Returns its name, or no row if there is no such queue."""
    return (
        update(Queue)
        .where(Queue.name == bindparam("of"), Queue.deleted_at.is_(None))
        .values(paused_at=null(), pause_reason=null(), paused_by=null())
        .returning(Queue.name)
    )


@cache
def get_queue() -> Executable:
    """As `list_queues`, for the queue `of`."""
    return _queues().where(Queue.name == bindparam("of"))


@cache
def list_queues() -> Executable:
    return _queues().order_by(Queue.name)


def _queues() -> Select[*tuple[Any, ...]]:
    rows, held = _outbox_rows().subquery("rows"), _held_tasks().subquery("held")
    none: ColumnElement[int] = literal_column("0")
    return (
        select(
            Queue.name,
            *(func.coalesce(rows.c[name], none).label(name) for name in ("waiting", "dispatched", "delayed")),
            func.coalesce(held.c.running, none).label("running"),
            live_slots(Queue.name).label("live_slots"),
            rows.c.oldest_age_s,
            Queue.paused_at,
            Queue.pause_reason,
            Queue.paused_by,
        )
        .outerjoin_from(Queue, rows, rows.c.queue == Queue.name)
        .outerjoin(held, held.c.queue == Queue.name)
        .where(Queue.deleted_at.is_(None))
    )


def _outbox_rows() -> Select[*tuple[Any, ...]]:
    """How many rows each queue has. All are read once: not all of them have an index that begins with the queue."""
    is_sent, is_due = Outbox.dispatched_at.is_not(None), Outbox.is_due
    oldest_age = func.now() - func.min(Outbox.available_at).filter(is_due)
    return select(
        Outbox.queue,
        func.count().filter(is_due, ~is_sent).label("waiting"),
        func.count().filter(is_sent).label("dispatched"),
        func.count().filter(~is_due).label("delayed"),
        cast(func.extract("epoch", oldest_age), Float).label("oldest_age_s"),
    ).group_by(Outbox.queue)


def _held_tasks() -> Select[str, int]:
    number = func.count().label("running")
    return select(Task.queue, number).where(status_in(Task.status, HELD)).group_by(Task.queue)


def _why() -> ColumnElement[str]:
    return bindparam("why", type_=Text)
