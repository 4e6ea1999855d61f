"""The history as a feed: every row as soon as it is visible, and a cursor from which a reader can resume.

A transaction that writes history holds a shared advisory lock from before its first id until its commit is visible; a
trigger takes it. Readers look at the lock's holders and never take it, so no transaction waits for another, and other
transactions do not hold up the cursor, however long they stay open. `taskcore.domain.feed` has the rules for gaps.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Engine,
    Executable,
    column,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.models import AnalyticsCursor, Task, TaskDependency, TaskHistory
from taskcore.db.sql import bigint_param, bigints_param, interval, seconds_param
from taskcore.domain.feed import Page, Position, advance

PAGE_SIZE = 1_000

#: Rows that analytics has not counted yet are kept this long at most, in case its collector never comes back.
MAX_UNCOUNTED_AGE_S = 30 * 86_400

#: The holders of the lock that `lock_history_shared` takes, each identified by its process and transaction.
LIST_WRITERS = text(
    "SELECT concat(pid, ':', virtualtransaction) AS writer FROM pg_locks"
    " WHERE locktype = 'advisory' AND (classid, objid, objsubid) = (1951622763, 0, 2)"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)

QuerySteps = Generator[tuple[Executable, dict[str, Any]], Sequence[Any], Page]


def read(engine: Engine, position: Position, limit: int = PAGE_SIZE) -> Page:
    """Return the next rows after `position`, up to `limit`.

    While gaps are open, call it again soon: it takes at least two calls to close one.
    """
    asking = _read(position, limit)
    question = next(asking)
    with engine.connect() as connection:
        while True:
            try:
                question = asking.send(connection.execute(*question).all())
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]


async def read_async(engine: AsyncEngine, position: Position, limit: int = PAGE_SIZE) -> Page:
    """As `read`."""
    asking = _read(position, limit)
    question = next(asking)
    async with engine.connect() as connection:
        while True:
            try:
                question = asking.send((await connection.execute(*question)).all())
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]


def _read(position: Position, room: int) -> QuerySteps:
    """Read rows first and writers second, each with its own snapshot; a REPEATABLE READ transaction would not work."""
    found = yield read_rows(), _unread(position) | {"room": room}
    page = advance(position, found, is_complete=len(found) < room, now=time.monotonic())
    if not page.position.gaps:
        return page
    still_there = yield LIST_WRITERS, {}
    return replace(page, position=page.position.with_writers(frozenset(row.writer for row in still_there)))


def _unread(position: Position) -> dict[str, Any]:
    return {
        "after": position.last_id,
        "firsts": [gap.first for gap in position.gaps],
        "lasts": [gap.last for gap in position.gaps],
    }


@cache
def read_rows() -> Executable:
    """Rows of the history after `after` and inside the gaps, by id, up to `room`.

    Each has the smallest id that is kept.
    """
    floor = select(func.min(TaskHistory.id)).scalar_subquery().label("floor")
    gap = (
        func.unnest(bigints_param("firsts"), bigints_param("lasts"))
        .table_valued(column("first", BigInteger), column("last", BigInteger), name="gap")
        .render_derived()
    )
    filled = select(*TaskHistory.__table__.c).join_from(
        gap, TaskHistory, TaskHistory.id.between(gap.c.first, gap.c.last)
    )
    beyond = select(*TaskHistory.__table__.c).where(TaskHistory.id > bigint_param("after"))
    found = union_all(filled, beyond.order_by(TaskHistory.id).limit(bigint_param("room"))).subquery()
    return select(*found.c, floor).order_by(found.c.id).limit(bigint_param("room"))


@cache
def delete_oldest() -> Executable:
    """Delete the oldest rows, fewer than `room`, that are older than `after_s` seconds. Returns how many.

    Stops at the first row of a task that still exists or that another task depends on, because its final status is read
    from history, and at the first row that analytics has not counted. The newest of the examined rows stays. So
    everything before the smallest remaining id is deleted, and everything after it is complete.
    """
    oldest = (
        select(TaskHistory.id, TaskHistory.task_id, TaskHistory.at)
        .order_by(TaskHistory.id)
        .limit(bigint_param("room"))
        .cte("oldest")
    )
    month_ago = func.now() - interval(literal_column(str(MAX_UNCOUNTED_AGE_S)))
    counted_until = select(func.min(func.greatest(AnalyticsCursor.until, month_ago))).scalar_subquery()
    stays = or_(
        oldest.c.at >= func.now() - seconds_param("after_s"),
        oldest.c.at >= counted_until,
        exists().where(Task.id == oldest.c.task_id),
        exists().where(TaskDependency.depends_on == oldest.c.task_id),
    )
    kept = select(func.coalesce(func.min(oldest.c.id).filter(stays), func.max(oldest.c.id))).scalar_subquery()
    gone = delete(TaskHistory).where(TaskHistory.id < kept).returning(TaskHistory.id).cte("gone")
    return select(func.count()).select_from(gone)
