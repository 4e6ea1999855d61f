"""Leases: what is held, by whom, and whose right to it has ended. What becomes of it is for `settlements` to write."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Executable, Select, delete, exists, func, select

from taskcore.db.models import Task, Worker
from taskcore.db.parameters import integer, interval, number, stands_at
from taskcore.domain.states import HELD

ORPHANS_LIMIT = 1_000

#: What is needed to say what becomes of an attempt whose worker or process is gone.
_LEASE = (
    Task.id,
    Task.attempt,
    Task.lease_token,
    Task.type,
    Task.status,
    Task.failures,
    Task.crashes,
    Task.losses,
    Task.max_attempts,
)


@cache
def held_by_executor() -> Executable:
    """What the process `incarnation` of `worker` holds, as the database sees it."""
    return _held().where(Task.worker_id == number("worker"), Task.executor == integer("incarnation"))


@cache
def orphans() -> Executable:
    """What is held under no worker row, up to `ORPHANS_LIMIT` tasks."""
    its_worker = exists().where(Worker.id == Task.worker_id)
    return _held().where(~its_worker).limit(ORPHANS_LIMIT)


@cache
def bury_workers() -> Executable:
    """Delete the workers whose lease ran out; they find out at their next heartbeat. Answers their ids."""
    return delete(Worker).where(Worker.seen_at + interval(Worker.lease_s) < func.now()).returning(Worker.id)


def _held() -> Select[*tuple[Any, ...]]:
    return select(*_LEASE).where(stands_at(Task.status, HELD)).order_by(Task.id)
