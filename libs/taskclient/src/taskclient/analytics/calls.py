"""The calls about analytics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from taskclient.analytics.models import Analytics, Metric
from taskclient.connection import Connection
from taskclient.models import Items


class AnalyticsCalls:
    """The analytics methods of a `Client`."""

    _connection: Connection

    def metrics(self) -> Sequence[Metric]:
        """Return every metric that has samples, ordered by name."""
        return self._connection.get("/analytics/metrics", Items[Metric]).items

    def analytics(
        self,
        metric: str,
        *,
        labels: Sequence[tuple[str, str]] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        bucket_s: int | None = None,
        aggregation: str | None = None,
        across: str | None = None,
        group_by: Sequence[str] | None = None,
    ) -> Analytics:
        """Return the values of `metric`, by default for the last 30 days in buckets of a day.

        Each series is separate, unless `group_by` names the labels to group series by. An empty `group_by` merges all.
        """
        merged = {
            "aggregation": aggregation,
            "across": across,
            "group_by": group_by if group_by or group_by is None else [""],
        }
        selected = {"metric": metric, "label": [f"{key}={value}" for key, value in labels]}
        period = {"from": since, "to": until, "bucket": bucket_s}
        return self._connection.get("/analytics", Analytics, **selected, **period, **merged)
