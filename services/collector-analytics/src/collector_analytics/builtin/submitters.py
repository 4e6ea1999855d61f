"""How many users submitted tasks on each day, and how many of them for the first time.

A user is the name that the caller states: only submissions by an actor `user:<name>` count.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from taskcore.db.analytics import usage
from taskcore.db.analytics.history_window import window_parameters
from taskcore.domain.metrics import bucket_start
from taskcore.metrics import Metric, MetricContext, MetricSource, Sample, Window

DAY = timedelta(days=1)


class Submitters(MetricSource):
    """Counts users per complete day. The table `submitter_day` keeps them when tasks and history are deleted."""

    name = "submitters"
    is_windowed = True

    def describe(self) -> Iterable[Metric]:
        return [
            Metric("submitters_per_day", "Distinct submitters on a day (UTC)"),
            Metric("new_submitters_per_day", "Submitters on a day (UTC) who had never submitted before"),
        ]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        """Return samples for complete days. The first window also stores all earlier submitters as known."""
        if ctx.is_first:
            ctx.database.execute(usage.store_earlier_submitters(), {"until_time": ctx.window.end})
        else:
            ctx.database.execute(usage.store_submitters(), window_parameters(ctx.window))
        for day in _complete_days(ctx.window):
            row = ctx.database.execute(usage.submitters_of_day(), {"that_day": day.astimezone(UTC).date()}).one()
            yield Sample("submitters_per_day", row.submitters, bucket=day)
            yield Sample("new_submitters_per_day", row.newcomers, bucket=day)


def _complete_days(window: Window) -> Iterable[datetime]:
    """Yield the days that end within the window or with it."""
    day = bucket_start(window.start, DAY)
    while day + DAY <= window.end:
        yield day
        day += DAY
