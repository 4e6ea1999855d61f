"""Which copy of a collector is active: a lease by name, with an epoch that fences the late writes of its last holder.

The database's clock decides. An update of the lease waits for the transactions that hold it by `fence`, so when a new
holder takes over, its predecessor has nothing left that could still be committed.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import Executable, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from taskcore.db.models import CollectorLease
from taskcore.db.sql import bigint_param, const_text, seconds_param

_LEASE = CollectorLease.name == bindparam("lease", type_=Text)
_MINE = CollectorLease.epoch == bigint_param("mine")
_CLOCK = func.clock_timestamp()  # not now(): a holder that waited for the row gets its whole time to live


@cache
def create_lease() -> Executable:
    """Create a lease that nobody holds, unless it exists. Parameter: lease (its name)."""
    statement = upsert(CollectorLease).values(
        name=bindparam("lease", type_=Text), holder=const_text(""), epoch=0, expires_at=func.now()
    )
    return statement.on_conflict_do_nothing()


@cache
def acquire_lease() -> Executable:
    """Take the lease for `by` if it has expired. Returns its new epoch, or no row. Parameters: lease, by, ttl_s."""
    return (
        update(CollectorLease)
        .where(_LEASE, CollectorLease.expires_at <= _CLOCK)
        .values(
            holder=bindparam("by", type_=Text),
            epoch=CollectorLease.epoch + 1,
            expires_at=_CLOCK + seconds_param("ttl_s"),
        )
        .returning(CollectorLease.epoch)
    )


@cache
def renew_lease() -> Executable:
    """Renew the lease. No row: another copy holds it now. Parameters: lease, mine (the epoch), ttl_s."""
    return (
        update(CollectorLease)
        .where(_LEASE, _MINE)
        .values(expires_at=_CLOCK + seconds_param("ttl_s"))
        .returning(CollectorLease.epoch)
    )


@cache
def release_lease() -> Executable:
    """Let another copy take the lease at once. Parameters: lease, mine."""
    return update(CollectorLease).where(_LEASE, _MINE).values(expires_at=_CLOCK)


@cache
def fence() -> Executable:
    """The first statement of each writing transaction: nobody can take the lease until it ends.

    Returns `now`, or no row if another copy holds the lease. Parameters: lease, mine.
    """
    return select(func.now().label("now")).where(_LEASE, _MINE).with_for_update(read=True, of=CollectorLease)
