"""What goes over HTTP about analytics, as this client sees it."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Metric(msgspec.Struct, frozen=True):
    """A metric: `labels` are the names of those that its `series` have; its samples lie from `first_at` to `last_at`.

    `kind`: a `gauge` says how things stood, a `count` how often something happened.
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
    """The values of one set of labels: of each bucket that has samples its start and the value, oldest first."""

    labels: dict[str, str]
    points: list[tuple[datetime, float]]


class Analytics(msgspec.Struct, frozen=True):
    """The values of a metric from `from_` until before `to`, in buckets of `bucket_s` seconds.

    `across`: how the series of a group became one, where that was asked for.
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
