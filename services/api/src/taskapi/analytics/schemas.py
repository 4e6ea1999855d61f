"""What goes over HTTP about analytics."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from taskcore.db.analytics.queries import Aggregation
from taskcore.domain.metrics import Kind


class Across(StrEnum):
    """How the series of a group become one, at each moment."""

    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"


class Metric(msgspec.Struct, frozen=True):
    """A metric: `labels` are the names of those that its `series` have; its samples lie from `first_at` to `last_at`.

    `kind`: a `gauge` says how things stood, a `count` how often something happened in a bucket.
    """

    name: str
    description: str
    unit: str
    kind: Kind
    labels: list[str]
    series: int
    first_at: datetime | None
    last_at: datetime | None


class Metrics(msgspec.Struct, frozen=True):
    """By name."""

    items: list[Metric]


class AnalyticsSeries(msgspec.Struct, frozen=True):
    """The values of one set of labels: for each bucket that has samples its start and the value, oldest first."""

    labels: dict[str, str]
    points: list[tuple[datetime, float]]


class Analytics(msgspec.Struct, frozen=True):
    """The values of a metric from `from` until before `to`, which are borders of buckets.

    `aggregation` made one value of the samples in a bucket; `across`, before that, one of the series in a group.
    """

    metric: str
    unit: str
    kind: Kind
    from_: datetime = msgspec.field(name="from")
    to: datetime
    bucket_s: int
    aggregation: Aggregation
    across: Across | None
    series: list[AnalyticsSeries]
