"""The number of tasks."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import text

from taskcore.metrics import Metric, MetricContext, MetricSource, Sample

TASKS = text("SELECT status, type, queue, count(*) AS number FROM task GROUP BY 1, 2, 3")


class Tasks(MetricSource):
    """Counts the stored tasks."""

    name = "tasks"

    def describe(self) -> Iterable[Metric]:
        return [Metric("tasks", "Tasks by status, type and queue")]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        for row in ctx.database.execute(TASKS):
            yield Sample("tasks", row.number, {"status": row.status, "type": row.type, "queue": row.queue})
