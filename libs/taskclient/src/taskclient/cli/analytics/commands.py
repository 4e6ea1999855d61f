"""`task-cli analytics …`: list metrics and show their values."""

from __future__ import annotations

from typing import Any

import click

from taskclient.cli.analytics.chart import chart
from taskclient.cli.analytics.views import METRIC_COLUMNS, values_view
from taskclient.cli.command import Group
from taskclient.cli.options import ParsedOption
from taskclient.cli.parsing import parse_duration, parse_pair, parse_since
from taskclient.cli.session import Session


@click.group(cls=Group)
def analytics() -> None:
    """List metrics and show their values."""


@analytics.command("metrics", aliases=("l", "ls", "list"))
@click.pass_obj
def list_metrics(session: Session) -> None:
    """List every metric that has samples, with its labels."""
    with session.client() as client:
        session.show_list(client.metrics(), METRIC_COLUMNS)


@analytics.command("show", aliases=("s",))
@click.argument("metric", metavar="METRIC")
@click.option(
    "--since",
    type=ParsedOption("time", parse_since),
    help="Start: ISO 8601 with a time zone, or how long ago: 5m, 2h, 30d. [default: 30d]",
)
@click.option("--until", type=ParsedOption("time", parse_since), help="End, in the format of --since. [default: now]")
@click.option(
    "--bucket",
    "bucket_s",
    type=ParsedOption("duration", parse_duration),
    help="Width of a bucket: 30m, 1h, 7d. [default: 1d]",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    type=ParsedOption("key=value", parse_pair),
    help="Only series with this label. Repeatable: all of them.",
)
@click.option("--group-by", "groups", multiple=True, metavar="LABEL", help="Merge series by this label. Repeatable.")
@click.option("--total", "is_total", is_flag=True, help="Merge all series.")
@click.option(
    "--aggregation",
    type=click.Choice(("sum", "avg", "min", "max", "last")),
    help="How to aggregate the samples of a bucket. [default: sum of a count, avg of a gauge]",
)
@click.option(
    "--across",
    type=click.Choice(("sum", "avg", "min", "max")),
    help="How to merge series at each moment. [default: sum; max of a gauge in seconds]",
)
@click.option("--chart", "is_chart", is_flag=True, help="Draw bars instead of a table.")
@click.pass_obj
def show(
    session: Session,
    /,
    metric: str,
    *,
    groups: tuple[str, ...],
    is_total: bool,
    is_chart: bool,
    **options: Any,
) -> None:
    """Show the values of METRIC, by default per day for the last 30 days. Times are UTC."""
    if is_total and groups:
        raise click.UsageError("--total and --group-by exclude each other.")
    with session.client() as client:
        values = client.analytics(metric, group_by=groups if groups or is_total else None, **options)
    session.show(values, chart if is_chart else values_view)
