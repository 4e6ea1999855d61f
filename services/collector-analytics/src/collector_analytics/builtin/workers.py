"""The workers and their slots."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import text

from taskcore.metrics import Metric, MetricContext, MetricSource, Sample

WORKERS = text("""
    WITH live AS (SELECT id, slots FROM worker WHERE seen_at + lease_s * interval '1 second' >= now())
    SELECT count(*) AS workers, coalesce(sum(slots), 0) AS slots,
        (SELECT count(*) FROM task WHERE status IN ('running', 'cancelling') AND worker_id IN (SELECT id FROM live))
        AS in_use
    FROM live
""")


class Workers(MetricSource):
    """Counts live workers, and the slots that they have and use."""

    name = "workers"

    def describe(self) -> Iterable[Metric]:
        return [
            Metric("workers_live", "Workers with a valid lease"),
            Metric("slots", "Tasks that live workers can run at once"),
            Metric("slots_in_use", "Tasks that live workers have claimed and not finished"),
        ]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        row = ctx.database.execute(WORKERS).one()
        return [
            Sample("workers_live", row.workers),
            Sample("slots", row.slots),
            Sample("slots_in_use", row.in_use),
        ]
