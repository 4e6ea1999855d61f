"""Leases: which attempts are held, by whom, and whose lease has ended.

`settlements` writes what happens to them then.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Executable,
    Integer,
    Select,
    and_,
    column,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    table,
    update,
)

from taskcore.db.models import Task, Worker
from taskcore.db.sql import bigint_param, int_param, interval, seconds_param, status_in, timestamp_param
from taskcore.domain.liveness import RECONNECT_GRACE_S
from taskcore.domain.outcomes import AttemptResult
from taskcore.domain.states import HELD, Status
from taskcore.domain.tasks import AttemptKey, FinishedAttempt, Lease

ORPHANS_LIMIT = 1_000

#: The first key of the advisory lock that a live worker holds; the second is its `lock_id`.
LIVENESS_LOCK = 0x74736B6C

_COLUMNS = (
    Task.id,
    Task.attempt,
    Task.lease_token,
    Task.type,
    Task.status,
    Task.failures,
    Task.crashes,
    Task.worker_losses,
    Task.max_attempts,
    Task.executor,
    Task.pause_requested,
)


@dataclass(frozen=True, slots=True)
class HeldAttempt:
    """An attempt that a worker holds, and what its result depends on.

    `executor` is the incarnation of the worker's process that runs it.
    """

    lease: Lease
    type: str
    status: Status
    executor: int
    failures: int = 0
    crashes: int = 0
    worker_losses: int = 0
    max_attempts: int = 1
    pause_requested: bool = False

    @classmethod
    def from_row(cls, row: Any) -> HeldAttempt:
        """Convert a row of `held_by_worker`, `held_by_executor` or `orphaned_attempts`."""
        return cls(
            Lease(row.id, row.attempt, row.lease_token),
            row.type,
            Status(row.status),
            row.executor,
            row.failures,
            row.crashes,
            row.worker_losses,
            row.max_attempts,
            row.pause_requested,
        )

    @property
    def key(self) -> AttemptKey:
        return self.lease.task_id, self.lease.attempt

    def finish(self, result: AttemptResult) -> FinishedAttempt:
        return FinishedAttempt(self.lease, self.type, result)


@cache
def heartbeat() -> Executable:
    """Renew the lease of `worker`. Returns its id, or no row if it was declared dead and holds nothing any more."""
    return update(Worker).where(Worker.id == bigint_param("worker")).values(seen_at=func.now()).returning(Worker.id)


@cache
def held_by_worker() -> Executable:
    """The attempts that `worker` holds, with requests to cancel or pause them."""
    return _held().where(Task.worker_id == bigint_param("worker"))


@cache
def held_by_executor() -> Executable:
    """The attempts that the process `incarnation` of `worker` holds."""
    return _held().where(Task.worker_id == bigint_param("worker"), Task.executor == int_param("incarnation"))


@cache
def orphaned_attempts() -> Executable:
    """Up to `ORPHANS_LIMIT` attempts that are held by workers that have no row."""
    its_worker = exists().where(Worker.id == Task.worker_id)
    return _held().where(~its_worker).limit(ORPHANS_LIMIT)


@cache
def acquire_liveness_lock() -> Executable:
    """Take a lock that is held as long as this connection lives. Returns its lock_id."""
    drawn = select(func.nextval("worker_lock_id").cast(Integer).label("lock_id")).cte("drawn")
    return select(drawn.c.lock_id, func.pg_advisory_lock(literal_column(str(LIVENESS_LOCK)), drawn.c.lock_id))


@cache
def set_liveness_lock() -> Executable:
    """Record that `worker` now holds the lock `lock`."""
    return update(Worker).where(Worker.id == bigint_param("worker")).values(lock_id=int_param("lock"))


@cache
def workers_without_lock() -> Executable:
    """(id, lock_id) of workers whose liveness lock nobody holds. None shortly after a restart of PostgreSQL."""
    locks = table("pg_locks", *(column(name) for name in ("locktype", "classid", "objid", "database")))
    database: Select[Any] = select(literal_column("oid")).select_from(table("pg_database", column("datname")))
    is_held = exists().where(
        locks.c.locktype == "advisory",
        locks.c.classid.cast(BigInteger) == literal_column(str(LIVENESS_LOCK)),
        locks.c.objid.cast(BigInteger) == Worker.lock_id,
        locks.c.database == database.where(column("datname") == func.current_database()).scalar_subquery(),
    )
    is_past_grace = func.pg_postmaster_start_time() < func.now() - interval(literal_column(str(RECONNECT_GRACE_S)))
    return select(Worker.id, Worker.lock_id).where(Worker.lock_id.is_not(None), is_past_grace, ~is_held)


@cache
def delete_if_dead() -> Executable:
    """Delete `worker` unless it has taken another lock than `lock` meanwhile. Returns its id."""
    is_same = and_(Worker.id == bigint_param("worker"), Worker.lock_id == int_param("lock"))
    return delete(Worker).where(is_same).returning(Worker.id)


@cache
def read_clock() -> Executable:
    """The time of the database (`now`), and the length of the longest lease (`longest_lease_s`)."""
    return select(func.now().label("now"), func.coalesce(func.max(Worker.lease_s), 0.0).label("longest_lease_s"))


@cache
def delete_expired_workers() -> Executable:
    """Delete the workers whose lease has expired; they notice at their next heartbeat. Returns their ids.

    Does nothing if the clock is more than `tolerance_s` away from `now`, where it was just before: it has been set. So
    a lease that ends later than any heartbeat could make it has expired, too.
    """
    is_set = or_(
        func.now() < timestamp_param("now") - seconds_param("tolerance_s"),
        func.now() > timestamp_param("now") + seconds_param("tolerance_s"),
    )
    lease = interval(Worker.lease_s)
    is_expired = or_(Worker.seen_at + lease < func.now(), Worker.seen_at - lease > func.now())
    return delete(Worker).where(is_expired, ~is_set).returning(Worker.id)


@cache
def delete_all_workers() -> Executable:
    """Delete every worker. For a caller that knows that all of them are dead."""
    return delete(Worker)


def _held() -> Select[*tuple[Any, ...]]:
    return select(*_COLUMNS).where(status_in(Task.status, HELD)).order_by(Task.id)
