"""Response models of the analytics calls."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Metric(msgspec.Struct, frozen=True):
    """A metric: the label names and the number of its series, and the time range of its samples.

    `kind` is `gauge` (a level at a moment) or `count` (a number of occurrences).
    """

    name: str
    description: str
    unit: str
    kind: str
    labels: list[str]
    series: int
    first_at: datetime | None
    last_at: datetime | None


class Series(msgspec.Struct, frozen=True):
    """The values of one set of labels: start and value of each bucket that has samples, oldest first."""

    labels: dict[str, str]
    points: list[tuple[datetime, float]]


class Analytics(msgspec.Struct, frozen=True):
    """The values of a metric from `from_` to before `to`, in buckets of `bucket_s` seconds.

    `across` is how the series of a group were merged, or None if they were not.
    """

    metric: str
    unit: str
    kind: str
    from_: datetime = msgspec.field(name="from")
    to: datetime
    bucket_s: int
    aggregation: str
    across: str | None
    series: list[Series]
