"""Queues: how many tasks wait in each and for how long, which workers serve it, and pausing it."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Float,
    ScalarSelect,
    Select,
    Text,
    bindparam,
    cast,
    func,
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


def _queues() -> Select[Any]:
    is_sent = Outbox.dispatched_at.is_not(None)
    oldest = (
        select(cast(func.extract("epoch", func.now() - func.min(Outbox.available_at)), Float))
        .where(Outbox.queue == Queue.name, Outbox.is_due)
        .correlate(Queue)
        .scalar_subquery()
    )
    running = (
        select(func.count())
        .select_from(Task)
        .where(Task.queue == Queue.name, status_in(Task.status, HELD))
        .correlate(Queue)
        .scalar_subquery()
    )
    return select(
        Queue.name,
        _rows(Outbox.is_due & ~is_sent).label("waiting"),
        _rows(is_sent).label("dispatched"),
        _rows(~Outbox.is_due).label("delayed"),
        running.label("running"),
        live_slots(Queue.name).label("live_slots"),
        oldest.label("oldest_age_s"),
        Queue.paused_at,
        Queue.pause_reason,
        Queue.paused_by,
    ).where(Queue.deleted_at.is_(None))


def _rows(which: ColumnElement[bool]) -> ScalarSelect[Any]:
    return (
        select(func.count())
        .select_from(Outbox)
        .where(Outbox.queue == Queue.name, which)
        .correlate(Queue)
        .scalar_subquery()
    )


def _why() -> ColumnElement[str]:
    return bindparam("why", type_=Text)
