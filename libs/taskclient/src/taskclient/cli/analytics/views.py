"""Views of metrics and their values as tables."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from rich.console import Group, RenderableType
from rich.text import Text

from taskclient.analytics.models import Analytics, Metric
from taskclient.cli.analytics.chart import format_number, heading
from taskclient.cli.output.formatting import escape_control, first_line
from taskclient.cli.output.views import Columns, fields, list_view

Row = tuple[datetime, dict[str, str], float]

METRIC_COLUMNS: Columns[Metric] = {
    **fields("name", "kind", "unit", "labels", "series"),
    "first": lambda metric: metric.first_at,
    "last": lambda metric: metric.last_at,
    "description": lambda metric: first_line(metric.description),
}


def values_view(analytics: Analytics) -> RenderableType:
    """Show one row per value, with a column for each label."""
    rows: list[Row] = [(at, series.labels, value) for series in analytics.series for at, value in series.points]
    names = dict.fromkeys(name for series in analytics.series for name in series.labels)
    columns: Columns[Row] = {"at": lambda row: row[0]}
    columns |= {name: partial(_label, name) for name in names}
    columns |= {"value": lambda row: format_number(row[2])}
    return Group(Text(escape_control(heading(analytics))), list_view(rows, columns))


def _label(name: str, row: Row) -> str | None:
    return row[1].get(name)
