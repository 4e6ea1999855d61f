"""The number of tasks."""

from __future__ import annotations

from collections.abc import Iterable

from taskcore.db.analytics.usage import count_tasks
from taskcore.metrics import Metric, MetricContext, MetricSource, Sample


class Tasks(MetricSource):
    name = "tasks"

    def describe(self) -> Iterable[Metric]:
        return [Metric("tasks", "Tasks by status, type and queue")]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        for row in ctx.database.execute(count_tasks()):
            yield Sample("tasks", row.number, {"status": row.status, "type": row.type, "queue": row.queue})
