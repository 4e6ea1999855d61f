"""What is measured: metrics, samples of them, and the time that they are about. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

EPOCH = datetime.fromtimestamp(0, UTC)


class Kind(StrEnum):
    """What values of a metric mean, and with that how several become one."""

    GAUGE = "gauge"  # how it stood at some moment: the average
    COUNT = "count"  # how often it happened in a bucket: the sum


@dataclass(frozen=True, slots=True)
class Metric:
    """`unit`: of the values, as `seconds`; none for mere numbers."""

    name: str
    description: str = ""
    unit: str = ""
    kind: Kind = Kind.GAUGE


@dataclass(frozen=True, slots=True)
class Sample:
    """`bucket`: the start of the time it stands for, where that is not the one it was asked for."""

    metric: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    bucket: datetime | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` until before `end`."""

    start: datetime
    end: datetime


def bucket_start(at: datetime, width: timedelta) -> datetime:
    """The start of the bucket that `at` is in. Buckets are counted from the epoch."""
    return EPOCH + (at - EPOCH) // width * width


def next_window(until: datetime, limit: datetime, width: timedelta) -> Window | None:
    """What is to be counted after `until`: until its bucket's end, if that is no later than `upto`."""
    end = bucket_start(until, width) + width
    return Window(until, end) if end <= limit else None
