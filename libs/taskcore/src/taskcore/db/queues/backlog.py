"""How much waits, for the coordinators' metrics: as of now, and cheap however much that is."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Executable, Select, func, literal_column, select, text, union_all

from taskcore.db.models import Task, Worker
from taskcore.db.sql import const_text, status_in
from taskcore.db.workers.workers import IS_LIVE
from taskcore.domain.states import HELD, IDLE, Status

#: Counting goes no further. A hundred thousand rows of an index take some 20 ms.
COUNT_LIMIT = 100_000

#: No index knows which row of a queue is the oldest: it would cost whoever writes. They lie by priority, mostly by age.
SAMPLE_LIMIT = 1_000

#: `oldest_age_s` is that of the oldest among the first `LOOK_LIMIT` of each priority and what is sent; no value where
#: the queue is paused, for then nobody is to hurry. `head`: the task to be sent next, where a worker has room for it;
#: `head_waits_s`: since when it could be, at the longest.
_QUEUES = text(f"""
    WITH RECURSIVE level (queue, priority) AS (
        SELECT name, (
            SELECT max(priority) FROM outbox WHERE queue = name AND is_due AND dispatched_at IS NULL
        ) FROM queue
        UNION ALL
        SELECT level.queue, (
            SELECT max(o.priority) FROM outbox o
            WHERE o.queue = level.queue AND o.is_due AND o.dispatched_at IS NULL AND o.priority < level.priority
        ) FROM level WHERE level.priority IS NOT NULL
    ),
    to_send AS (
        SELECT level.queue, min(outbox.available_at) AS oldest
        FROM level CROSS JOIN LATERAL (
            SELECT task_id FROM outbox  -- the index has no more, so that its order is what it is read in
            WHERE queue = level.queue AND priority = level.priority AND is_due AND dispatched_at IS NULL
            ORDER BY task_id LIMIT {SAMPLE_LIMIT}
        ) first JOIN outbox USING (task_id)
        GROUP BY level.queue
    )
    SELECT queue.name, waiting.count + sent.count AS depth,
        CASE WHEN queue.paused_at IS NULL
            THEN extract(epoch FROM now() - least(to_send.oldest, sent.oldest))::float END AS oldest_age_s,
        CASE WHEN queue.paused_at IS NULL AND sent.count < 2 * (
            SELECT coalesce(sum(slots), 0) FROM worker
            WHERE (cardinality(queues) = 0 OR queue.name = ANY(queues))
                AND seen_at + lease_s * interval '1 second' >= now()
        ) THEN head.task_id END AS head,
        extract(epoch FROM now() - greatest(head.available_at, sent.newest))::float AS head_waits_s
    FROM queue
    CROSS JOIN LATERAL (
        SELECT count(*) FROM (
            SELECT 1 FROM outbox WHERE queue = queue.name AND is_due AND dispatched_at IS NULL LIMIT {COUNT_LIMIT}
        ) counted
    ) waiting
    CROSS JOIN LATERAL (
        SELECT count(*), min(available_at) AS oldest, max(dispatched_at) AS newest FROM (
            SELECT available_at, dispatched_at FROM outbox
            WHERE queue = queue.name AND dispatched_at IS NOT NULL LIMIT {COUNT_LIMIT}
        ) counted
    ) sent
    LEFT JOIN to_send ON to_send.queue = queue.name
    LEFT JOIN LATERAL (
        SELECT task_id, available_at FROM outbox
        WHERE queue = queue.name AND is_due AND dispatched_at IS NULL
        ORDER BY priority DESC, task_id LIMIT 1
    ) head ON true
    ORDER BY queue.name
""")


def queue_backlogs() -> Executable:
    """Per queue: name, depth, oldest_age_s, head, head_waits_s."""
    return _QUEUES


@cache
def active_counts() -> Executable:
    """Per status of tasks that are not over, how many stand at it, up to `COUNT_LIMIT`; and how many workers live."""
    return union_all(*(_count(status) for status in Status if status in IDLE | HELD), _live_workers())


#: Beside the statuses.
LIVE_WORKERS = "workers"


def _count(status: Status) -> Select[str, int]:
    some: Select[Any] = (
        select(literal_column("1")).select_from(Task).where(status_in(Task.status, {status})).limit(COUNT_LIMIT)
    )
    return select(const_text(status).label("what"), func.count().label("count")).select_from(some.subquery())


def _live_workers() -> Select[str, int]:
    return select(const_text(LIVE_WORKERS), func.count()).select_from(Worker).where(IS_LIVE)
