"""How many tasks were submitted in a window, and how many finished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from collector_analytics.builtin.largest import OTHER, largest
from taskcore.db.analytics.history_window import window_parameters
from taskcore.db.analytics.usage import throughput
from taskcore.metrics import Kind, Metric, MetricContext, MetricSource, Sample


class Throughput(MetricSource):
    name = "throughput"
    is_windowed = True

    def describe(self) -> Iterable[Metric]:
        return [
            Metric("submitted", "Tasks submitted, by type and queue", kind=Kind.COUNT),
            Metric(
                "finished", "Tasks finished, by type and outcome, and again after each retry by hand", kind=Kind.COUNT
            ),
        ]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        submitted: Counter[tuple[str, ...]] = Counter()
        finished: Counter[tuple[str, ...]] = Counter()
        for row in ctx.database.execute(throughput(), window_parameters(ctx.window)):
            if row.is_submitted:
                submitted[row.type, row.queue] += row.number
            if row.is_finished:
                finished[row.type, row.outcome] += row.number
        for (type_, queue), number in largest(submitted, lambda _: (OTHER, OTHER)):
            yield Sample("submitted", number, {"type": type_, "queue": queue})
        for (type_, outcome), number in largest(finished, lambda key: (OTHER, key[1])):
            yield Sample("finished", number, {"type": type_, "outcome": outcome})
