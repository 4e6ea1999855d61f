"""What the relay looks at in each round: which queues have something to send, and what their live workers can take."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Executable, ScalarSelect, func, or_, select, text
from sqlalchemy.orm import InstrumentedAttribute

from taskcore.db.models import Worker
from taskcore.db.workers.workers import IS_LIVE

COUNT_LIMIT = 20_000

_LOADS = text(f"""
    WITH live AS MATERIALIZED (
        SELECT queues, slots FROM worker WHERE seen_at + lease_s * interval '1 second' >= now()
    )
    SELECT queue.name,
        (
            SELECT type FROM outbox
            WHERE queue = queue.name AND queue.paused_at IS NULL
                AND is_due AND dispatched_at IS NULL AND NOT is_parked
            ORDER BY priority DESC, task_id LIMIT 1
        ) AS head_type,
        (
            SELECT count(*) FROM (
                SELECT 1 FROM outbox WHERE queue = queue.name AND dispatched_at IS NOT NULL LIMIT {COUNT_LIMIT}
            ) counted
        ) AS in_flight,
        (
            SELECT coalesce(sum(slots), 0)::bigint FROM live
            WHERE cardinality(queues) = 0 OR queue.name = ANY(queues)
        ) AS live_slots,
        EXISTS (SELECT FROM outbox WHERE queue = queue.name AND is_parked) AS has_parked
    FROM queue WHERE deleted_at IS NULL
""")


def queue_loads() -> Executable:
    """Per queue: name, head_type, in_flight (dispatched and unclaimed), live_slots, has_parked.

    `head_type` is the type of the first row that could be dispatched; null without one, and for a paused queue.
    """
    return _LOADS


@cache
def served_types() -> Executable:
    """(queues, types) of the live workers, once for those that are alike. No queues: all."""
    return select(Worker.queues, Worker.types).where(IS_LIVE).distinct()


def live_slots(queue: InstrumentedAttribute[str]) -> ScalarSelect[int]:
    """How many tasks of `queue` the live workers can run at once."""
    return (
        select(func.coalesce(func.sum(Worker.slots), 0))
        .where(or_(func.cardinality(Worker.queues) == 0, queue == func.any(Worker.queues)), IS_LIVE)
        .scalar_subquery()
    )
