"""The depth of the queues, and the age of their oldest tasks."""

from __future__ import annotations

from collections.abc import Iterable

from taskcore.db.analytics.usage import queue_depths
from taskcore.metrics import Metric, MetricContext, MetricSource, Sample


class Queues(MetricSource):
    name = "queues"

    def describe(self) -> Iterable[Metric]:
        return [
            Metric("queue_depth", "Due tasks of a queue that no worker has claimed"),
            Metric("queue_oldest_age_seconds", "Time since the oldest of them became due", "seconds"),
        ]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        """Return a depth for every queue, and an age where a task waits."""
        for row in ctx.database.execute(queue_depths()):
            yield Sample("queue_depth", row.depth, {"queue": row.name})
            if row.oldest_age_s is not None:
                yield Sample("queue_oldest_age_seconds", float(row.oldest_age_s), {"queue": row.name})
