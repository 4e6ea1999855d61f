"""What waits in the queues."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import text

from taskcore.metrics import Metric, MetricContext, MetricSource, Sample

QUEUES = text("""
    SELECT queue.name, count(outbox.task_id) AS depth,
        extract(epoch FROM now() - min(outbox.available_at)) AS oldest_age_s
    FROM queue LEFT JOIN outbox ON outbox.queue = queue.name AND (outbox.is_due OR outbox.available_at <= now())
    GROUP BY queue.name
""")


class Queues(MetricSource):
    name = "queues"

    def describe(self) -> Iterable[Metric]:
        return [
            Metric("queue_depth", "Tasks of a queue that are due and that no worker has taken yet"),
            Metric("queue_oldest_age_seconds", "For how long the oldest of them has been due", "seconds"),
        ]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        """A queue in which nothing waits has a depth, and no oldest age."""
        for row in ctx.database.execute(QUEUES):
            yield Sample("queue_depth", row.depth, {"queue": row.name})
            if row.oldest_age_s is not None:
                yield Sample("queue_oldest_age_seconds", float(row.oldest_age_s), {"queue": row.name})
