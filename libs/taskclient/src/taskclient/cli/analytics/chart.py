"""Draws the values of a metric as bars for a terminal: one line per bucket, in eighths of a character."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from taskclient.analytics.models import Analytics, Series
from taskclient.cli.output.formatting import escape_control

BAR_WIDTH = 40
DAY_S = 86_400

_EIGHTHS = " ▏▎▍▌▋▊▉"


def chart(analytics: Analytics) -> RenderableType:
    """Draw all series on one scale that begins at zero. A mark stands for buckets without samples."""
    values = [abs(value) for series in analytics.series for _, value in series.points]
    lines = [heading(analytics)]
    for series in analytics.series:
        lines += ["", series_name(series), *_rows(analytics, series, max(values, default=0.0))]
    return Group(*(Text(escape_control(line)) for line in lines))


def heading(analytics: Analytics) -> str:
    unit = f" in {analytics.unit}" if analytics.unit else ""
    across = f", {analytics.across} across series" if analytics.across else ""
    start, end = (_format_time(at, analytics.bucket_s) for at in (analytics.from_, analytics.to))
    bucket = f"{analytics.aggregation} of each {_format_bucket(analytics.bucket_s)}"
    return f"{analytics.metric}{unit}, {bucket}{across}: {start} to {end}"


def series_name(series: Series) -> str:
    return ", ".join(f"{key}={value}" for key, value in series.labels.items()) or "all"


def bar(value: float, maximum: float) -> str:
    """Return a bar whose length is proportional to `value`; anything but zero is visible."""
    if not value or not maximum:
        return ""
    eighths = max(1, round(abs(value) / maximum * BAR_WIDTH * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def format_number(value: float) -> str:
    """Format whole numbers without decimals, others with four digits."""
    if value == round(value) and abs(value) < 10**15:
        return f"{value:.0f}"
    return f"{value:.4g}" if abs(value) < 1_000 else f"{value:.1f}"


def _rows(analytics: Analytics, series: Series, maximum: float) -> Iterator[str]:
    width = max((len(format_number(value)) for _, value in series.points), default=0)
    previous: datetime | None = None
    for at, value in series.points:
        if previous is not None and (at - previous).total_seconds() > analytics.bucket_s:
            yield "  ⋮"
        yield f"  {_format_time(at, analytics.bucket_s)}  {format_number(value):>{width}}  {bar(value, maximum)}"
        previous = at


def _format_time(at: datetime, bucket_s: int) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d" if bucket_s % DAY_S == 0 else "%Y-%m-%d %H:%M:%SZ")


def _format_bucket(bucket_s: int) -> str:
    for unit, seconds in (("d", DAY_S), ("h", 3_600), ("m", 60)):
        if bucket_s % seconds == 0:
            return f"{bucket_s // seconds}{unit}"
    return f"{bucket_s}s"
