"""The history as a feed: every row as soon as it is visible, and a cursor that a reader can resume from.

Whoever writes history holds an advisory lock, shared, from before it draws its first id until its commit is visible: a
trigger sees to it. Readers look at who holds it and never take it, so nobody waits for anybody; other transactions,
however long they stay open, do not hold up the cursor. `taskcore.domain.feed` says what becomes of gaps.
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

#: What analytics has not counted is kept for so long: a collector that never comes back keeps no more than this.
MAX_UNCOUNTED_AGE_S = 30 * 86_400

#: Who holds the lock of migration 0001 at this moment, each by its process and transaction, as no other is again.
LIST_WRITERS = text(
    "SELECT concat(pid, ':', virtualtransaction) AS writer FROM pg_locks"
    " WHERE locktype = 'advisory' AND (classid, objid, objsubid) = (1951622763, 0, 2)"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)

QuerySteps = Generator[tuple[Executable, dict[str, Any]], Sequence[Any], Page]


def read(engine: Engine, position: Position, limit: int = PAGE_SIZE) -> Page:
    """The next rows from `position` on, up to `room`. While gaps are open, ask again soon: it takes two at least."""
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
    """Rows first, writers second, each with a snapshot of its own: a transaction of repeatable reads would not do."""
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
    """The history beyond `after` and within the gaps, by id, up to `room` rows, each with the smallest id kept."""
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
    """Delete the oldest rows, fewer than `room`, that are over `after_s` seconds old. Answers how many.

    Up to the first row of a task that still exists, or on which one depends: how that ended is looked up there. And up
    to the first that analytics has yet to count. The newest of them stays. So the smallest id that is kept says up to
    where all is gone; what lies behind it is whole.
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
