"""The workers and their slots."""

from __future__ import annotations

from collections.abc import Iterable

from taskcore.db.analytics.usage import worker_slots
from taskcore.metrics import Metric, MetricContext, MetricSource, Sample


class Workers(MetricSource):
    name = "workers"

    def describe(self) -> Iterable[Metric]:
        return [
            Metric("workers_live", "Workers with a valid lease"),
            Metric("slots", "Tasks that live workers can run at once"),
            Metric("slots_in_use", "Tasks that live workers have claimed and not finished"),
        ]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        row = ctx.database.execute(worker_slots()).one()
        yield Sample("workers_live", row.workers)
        yield Sample("slots", row.slots)
        yield Sample("slots_in_use", row.in_use)
