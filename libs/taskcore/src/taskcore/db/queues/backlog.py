"""The size and age of the backlog, for the coordinators' metrics: current, and cheap however large it is."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Executable, Select, func, literal_column, select, text, union_all

from taskcore.db.models import Task, Worker
from taskcore.db.sql import const_text, status_in
from taskcore.db.workers.workers import IS_LIVE
from taskcore.domain.states import HELD, IDLE, Status

#: Counting stops here. A hundred thousand rows of an index take some 20 ms.
COUNT_LIMIT = 100_000

#: How many rows of each priority are examined for the oldest. An index on age would cost every writer; within a
#: priority rows are ordered by id, which is mostly by age.
SAMPLE_LIMIT = 1_000

#: The condition of the index that the relay reads.
_UNDISPATCHED = "is_due AND dispatched_at IS NULL AND NOT is_parked"

_QUEUES = text(f"""
    -- The priorities that occur among each queue's undispatched rows, highest first: one index lookup each.
    WITH RECURSIVE level (queue, priority) AS (
        SELECT name, (
            SELECT max(priority) FROM outbox WHERE queue = name AND {_UNDISPATCHED}
        ) FROM queue
        UNION ALL
        SELECT level.queue, (
            SELECT max(o.priority) FROM outbox o
            WHERE o.queue = level.queue AND {_UNDISPATCHED}
                AND o.priority < level.priority
        ) FROM level WHERE level.priority IS NOT NULL
    ),
    -- The oldest of the first rows of each priority.
    undispatched AS (
        SELECT level.queue, min(outbox.available_at) AS oldest
        FROM level CROSS JOIN LATERAL (
            SELECT task_id FROM outbox  -- only the index's columns, so that it is read in its order
            WHERE queue = level.queue AND priority = level.priority AND {_UNDISPATCHED}
            ORDER BY task_id LIMIT {SAMPLE_LIMIT}
        ) first JOIN outbox USING (task_id)
        GROUP BY level.queue
    )
    SELECT queue.name, waiting.count + dispatched.count AS depth,
        CASE WHEN queue.paused_at IS NULL
            THEN extract(epoch FROM now() - least(undispatched.oldest, dispatched.oldest))::float END AS oldest_age_s,
        -- Room: fewer dispatched tasks than twice the live slots of the queue.
        CASE WHEN queue.paused_at IS NULL AND dispatched.count < 2 * (
            SELECT coalesce(sum(slots), 0) FROM worker
            WHERE (cardinality(queues) = 0 OR queue.name = ANY(queues))
                AND seen_at + lease_s * interval '1 second' >= now()
        ) THEN head.task_id END AS head,
        extract(epoch FROM now() - greatest(head.available_at, dispatched.newest))::float AS head_waits_s
    FROM queue
    CROSS JOIN LATERAL (
        SELECT count(*) FROM (
            SELECT 1 FROM outbox WHERE queue = queue.name AND {_UNDISPATCHED} LIMIT {COUNT_LIMIT}
        ) counted
    ) waiting
    CROSS JOIN LATERAL (
        SELECT count(*), min(available_at) AS oldest, max(dispatched_at) AS newest FROM (
            SELECT available_at, dispatched_at FROM outbox
            WHERE queue = queue.name AND dispatched_at IS NOT NULL LIMIT {COUNT_LIMIT}
        ) counted
    ) dispatched
    LEFT JOIN undispatched ON undispatched.queue = queue.name
    LEFT JOIN LATERAL (
        SELECT task_id, available_at FROM outbox
        WHERE queue = queue.name AND {_UNDISPATCHED}
        ORDER BY priority DESC, task_id LIMIT 1
    ) head ON true
    WHERE queue.deleted_at IS NULL
    ORDER BY queue.name
""")


def queue_backlogs() -> Executable:
    """Per queue: name, depth, oldest_age_s, head, head_waits_s.

    `oldest_age_s` is the age of the oldest of the dispatched rows and of the first `SAMPLE_LIMIT` rows of each
    priority; null for a paused queue, which is not expected to move. `head` is the task to dispatch next, if the
    workers have room for it, and `head_waits_s` how long it could have been dispatched already, at most.
    """
    return _QUEUES


@cache
def active_counts() -> Executable:
    """Per status of unfinished tasks, how many there are, up to `COUNT_LIMIT`; and the number of live workers."""
    return union_all(*(_count(status) for status in Status if status in IDLE | HELD), _live_workers())


#: The name of the count of workers, beside the statuses.
LIVE_WORKERS = "workers"


def _count(status: Status) -> Select[str, int]:
    some: Select[Any] = (
        select(literal_column("1")).select_from(Task).where(status_in(Task.status, {status})).limit(COUNT_LIMIT)
    )
    return select(const_text(status).label("what"), func.count().label("count")).select_from(some.subquery())


def _live_workers() -> Select[str, int]:
    return select(const_text(LIVE_WORKERS), func.count()).select_from(Worker).where(IS_LIVE)
