"""The calls about analytics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from taskclient.analytics.models import Analytics, Metric
from taskclient.connection import Call, Connection
from taskclient.models import Items


class AnalyticsCalls:
    """Those of a `Client`."""

    _connection: Connection

    def metrics(self) -> Sequence[Metric]:
        """Every metric that was ever measured, by name."""
        return self._connection.request(Call("GET", "/analytics/metrics"), Items[Metric]).items

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
        """The values of `metric`: of the last 30 days by day, unless said otherwise.

        Each series by itself, or with `group_by` those together that agree in these labels: with none, all of them.
        """
        pairs = [("metric", metric), *(("label", f"{key}={value}") for key, value in labels)]
        pairs += [(name, at.isoformat()) for name, at in (("from", since), ("to", until)) if at is not None]
        given = (("bucket", bucket_s), ("aggregation", aggregation), ("across", across))
        pairs += [(name, str(value)) for name, value in given if value is not None]
        if group_by is not None:
            pairs += [("group_by", name) for name in group_by or ("",)]
        return self._connection.request(Call("GET", "/analytics", pairs), Analytics)
