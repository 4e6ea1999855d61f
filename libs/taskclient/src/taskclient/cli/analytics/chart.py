"""The values of a metric as bars, a line a bucket: for a terminal, in eighths of a character."""

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


def chart(answer: Analytics) -> RenderableType:
    """All series on one scale, which begins at nothing. Where buckets have no samples there is a mark, not a bar."""
    values = [abs(value) for series in answer.series for _, value in series.points]
    lines = [heading(answer)]
    for series in answer.series:
        lines += ["", series_name(series), *_rows(answer, series, max(values, default=0.0))]
    return Group(*(Text(escape_control(line)) for line in lines))


def heading(answer: Analytics) -> str:
    unit = f" in {answer.unit}" if answer.unit else ""
    across = f", {answer.across} across series" if answer.across else ""
    span = f"{_time(answer.from_, answer.bucket_s)} to {_time(answer.to, answer.bucket_s)}"
    return f"{answer.metric}{unit}, {answer.aggregation} of each {_width(answer.bucket_s)}{across}: {span}"


def series_name(series: Series) -> str:
    return ", ".join(f"{key}={value}" for key, value in series.labels.items()) or "all"


def bar(value: float, greatest: float) -> str:
    """As long as `value` is of `greatest`; anything but nothing is to be seen."""
    if not value or not greatest:
        return ""
    eighths = max(1, round(abs(value) / greatest * BAR_WIDTH * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def format_number(value: float) -> str:
    """Whole numbers whole, others with four digits."""
    if value == round(value) and abs(value) < 10**15:
        return f"{value:.0f}"
    return f"{value:.4g}" if abs(value) < 1_000 else f"{value:.1f}"


def _rows(answer: Analytics, series: Series, greatest: float) -> Iterator[str]:
    width = max((len(format_number(value)) for _, value in series.points), default=0)
    before: datetime | None = None
    for at, value in series.points:
        if before is not None and (at - before).total_seconds() > answer.bucket_s:
            yield "  ⋮"
        yield f"  {_time(at, answer.bucket_s)}  {format_number(value):>{width}}  {bar(value, greatest)}"
        before = at


def _time(at: datetime, bucket_s: int) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d" if bucket_s % DAY_S == 0 else "%Y-%m-%d %H:%M:%SZ")


def _width(bucket_s: int) -> str:
    for unit, seconds in (("d", DAY_S), ("h", 3_600), ("m", 60)):
        if bucket_s % seconds == 0:
            return f"{bucket_s // seconds}{unit}"
    return f"{bucket_s}s"
