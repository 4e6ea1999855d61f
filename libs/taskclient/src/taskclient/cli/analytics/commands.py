"""`task-cli analytics …`: what is measured, and how it went."""

from __future__ import annotations

from datetime import datetime

import click

from taskclient.cli.analytics.chart import chart
from taskclient.cli.analytics.views import METRIC_COLUMNS, values_view
from taskclient.cli.command import Group
from taskclient.cli.options import ParsedOption
from taskclient.cli.parsing import parse_duration, parse_pair, parse_since
from taskclient.cli.session import Session
from taskclient.cli.worker import show_list


@click.group(cls=Group)
def analytics() -> None:
    """What is measured, and how it went."""


@analytics.command("metrics", aliases=("l", "ls", "list"))
@click.pass_obj
def list_metrics(session: Session) -> None:
    """Every metric that was ever measured, with the labels that it has."""
    with session.client() as client:
        show_list(session, client.metrics(), METRIC_COLUMNS)


@analytics.command("show", aliases=("s",))
@click.argument("metric", metavar="METRIC")
@click.option(
    "--since", type=ParsedOption("time", parse_since), help="ISO 8601 with a time zone, or 5m, 2h, 30d ago. [30d]"
)
@click.option("--until", type=ParsedOption("time", parse_since), help="As --since. [now]")
@click.option(
    "--bucket", type=ParsedOption("span", parse_duration), help="How much time a value stands for: 30m, 1h, 7d. [1d]"
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    type=ParsedOption("key=value", parse_pair),
    help="Only series with this label. Repeatable: all of them.",
)
@click.option(
    "--group-by", "groups", multiple=True, metavar="LABEL", help="Series that agree in this become one. Repeatable."
)
@click.option("--total", "is_total", is_flag=True, help="All series become one.")
@click.option(
    "--aggregation",
    type=click.Choice(("sum", "avg", "min", "max", "last")),
    help="What becomes of the samples in a bucket. [sum of a count, avg of a gauge]",
)
@click.option(
    "--across",
    type=click.Choice(("sum", "avg", "min", "max")),
    help="How series become one, at each moment. [sum; max of a gauge in seconds]",
)
@click.option("--chart", "is_chart", is_flag=True, help="Bars in place of a table.")
@click.pass_obj
def show(
    session: Session,
    metric: str,
    *,
    since: datetime | None,
    until: datetime | None,
    bucket: int | None,
    labels: tuple[tuple[str, str], ...],
    groups: tuple[str, ...],
    is_total: bool,
    aggregation: str | None,
    across: str | None,
    is_chart: bool,
) -> None:
    """The values of METRIC, by day for the last 30 days unless said otherwise. Times are UTC."""
    if is_total and groups:
        raise click.UsageError("--total goes without --group-by.")
    with session.client() as client:
        answer = client.analytics(
            metric,
            labels=labels,
            since=since,
            until=until,
            bucket_s=bucket,
            aggregation=aggregation,
            across=across,
            group_by=groups if groups or is_total else None,
        )
    session.show(answer, chart if is_chart else values_view)
