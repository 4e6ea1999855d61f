"""The depth of the queues, and the age of their oldest tasks."""

from __future__ import annotations

from collections.abc import Iterable

from collector_analytics.builtin.largest import OTHER, largest
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
        """Return a depth for every queue, and an age where a task waits. Of very many queues, the deepest have ages."""
        rows = {(row.name,): row for row in ctx.database.execute(queue_depths())}
        for key, depth in largest({key: row.depth for key, row in rows.items()}, lambda _: (OTHER,)):
            labels = {"queue": key[0]}
            yield Sample("queue_depth", depth, labels)
            if key in rows and rows[key].oldest_age_s is not None:
                yield Sample("queue_oldest_age_seconds", float(rows[key].oldest_age_s), labels)
