"""The time range of a query, extended to whole buckets: a part of one would look like a drop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from taskapi.http.paging import parse_time
from taskapi.http.problems import invalid_field
from taskcore.domain.metrics import bucket_start

DEFAULT_RANGE = timedelta(days=30)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def plan_range(since: str | None, until: str | None, bucket_s: int, now: datetime) -> tuple[datetime, datetime]:
    """Return the start of the bucket of `since`, and the end of that of `until`. Raise `ProblemError` if not valid."""
    end = _time("to", until) or now
    start = _time("from", since) or end - DEFAULT_RANGE
    if start >= end:
        raise invalid_field("from", "is not before to")
    width = timedelta(seconds=bucket_s)
    last = bucket_start(end, width)
    return bucket_start(start, width), last if last == end else last + width


def _time(field: str, text: str | None) -> datetime | None:
    time = parse_time(field, text)
    if time is not None and not EARLIEST <= time <= LATEST:
        raise invalid_field(field, "must be between the years 1970 and 9000")
    return time
