"""Usage metrics, their samples, and the time buckets that samples belong to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

EPOCH = datetime.fromtimestamp(0, UTC)


class Kind(StrEnum):
    """What a metric's values mean, and so how several of them are combined into one."""

    GAUGE = "gauge"  # a level at some moment; combined by average
    COUNT = "count"  # occurrences within a bucket; combined by sum


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric. `unit` is the unit of its values, such as `seconds`; empty for plain numbers."""

    name: str
    description: str = ""
    unit: str = ""
    kind: Kind = Kind.GAUGE


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of a metric. `bucket` is the start of its bucket, if that is not the one being collected."""

    metric: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    bucket: datetime | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """The time from `start` (inclusive) to `end` (exclusive)."""

    start: datetime
    end: datetime


def bucket_start(at: datetime, width: timedelta) -> datetime:
    """Return the start of the bucket that contains `at`. Buckets are aligned to the Unix epoch."""
    return EPOCH + (at - EPOCH) // width * width


def next_window(until: datetime, limit: datetime, width: timedelta) -> Window | None:
    """Return the window from `until` to the end of its bucket, or None if that end is later than `limit`."""
    end = bucket_start(until, width) + width
    return Window(until, end) if end <= limit else None
