"""How long the attempts that finished in a window waited in their queue, and how long they ran."""

from __future__ import annotations

from collections.abc import Iterable

from taskcore.db.analytics.history_window import window_parameters
from taskcore.db.analytics.usage import attempt_durations
from taskcore.metrics import Metric, MetricContext, MetricSource, Sample

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Durations(MetricSource):
    name = "durations"
    is_windowed = True

    def describe(self) -> Iterable[Metric]:
        return [
            Metric("queue_wait_seconds", "Time from an attempt being due to its start: p50, p95, p99", "seconds"),
            Metric("run_seconds", "Duration of an attempt: p50, p95, p99", "seconds"),
        ]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        parameters = {**window_parameters(ctx.window), "quantiles": list(QUANTILES.values())}
        for row in ctx.database.execute(attempt_durations(), parameters):
            for metric, values in (("queue_wait_seconds", row.wait_s), ("run_seconds", row.run_s)):
                for quantile, value in zip(QUANTILES, values or (), strict=False):
                    yield Sample(metric, value, {"type": row.type, "quantile": quantile})
