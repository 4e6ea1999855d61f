"""The number of tasks."""

from __future__ import annotations

from collections.abc import Iterable

from collector_analytics.builtin.largest import OTHER, largest
from taskcore.db.analytics.usage import count_tasks
from taskcore.metrics import Metric, MetricContext, MetricSource, Sample


class Tasks(MetricSource):
    name = "tasks"

    def describe(self) -> Iterable[Metric]:
        return [Metric("tasks", "Tasks by status, type and queue")]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        counts: dict[tuple[str, ...], int] = {
            (row.status, row.type, row.queue): row.number for row in ctx.database.execute(count_tasks())
        }
        for (status, type_, queue), number in largest(counts, lambda key: (key[0], OTHER, OTHER)):
            yield Sample("tasks", number, {"status": status, "type": type_, "queue": queue})
