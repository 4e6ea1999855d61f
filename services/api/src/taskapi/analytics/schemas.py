"""Responses about analytics."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from taskcore.db.analytics.queries import Aggregation
from taskcore.domain.metrics import Kind


class Across(StrEnum):
    """How the series of a group are combined at each moment."""

    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"


class Metric(msgspec.Struct, frozen=True):
    """A metric, with the label names and the number of its `series`, and the times of its first and last sample.

    The `kind` is `gauge` for a measured value, or `count` for the number of occurrences in a bucket.
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
    """The values of one set of labels, oldest first: start and value of each bucket that has samples."""

    labels: dict[str, str]
    points: list[tuple[datetime, float]]


class Analytics(msgspec.Struct, frozen=True):
    """The values of a metric from `from` (inclusive) to `to` (exclusive), which are bounds of buckets.

    `across` combines the series of a group at each moment; `aggregation` then combines the samples of a bucket.
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
