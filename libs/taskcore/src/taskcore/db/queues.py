"""Queues: how much waits in each, for how long, and who serves it."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Float, ScalarSelect, cast, func, select

from taskcore.db.models import Outbox, Queue, Task
from taskcore.db.outbox import live_slots
from taskcore.db.parameters import stands_at
from taskcore.domain.states import HELD


@cache
def queue_names() -> Executable:
    return select(Queue.name).order_by(Queue.name)


@cache
def list_queues() -> Executable:
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
        .where(Task.queue == Queue.name, stands_at(Task.status, HELD))
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
    ).order_by(Queue.name)


def _rows(which: ColumnElement[bool]) -> ScalarSelect[Any]:
    return (
        select(func.count())
        .select_from(Outbox)
        .where(Outbox.queue == Queue.name, which)
        .correlate(Queue)
        .scalar_subquery()
    )
