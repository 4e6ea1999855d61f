"""`task-cli schedule list`, `get`, `fires` and `preview`."""

from __future__ import annotations

import functools
from datetime import datetime

import click

from taskclient.cli.command import Command
from taskclient.cli.options import ParsedOption
from taskclient.cli.parsing import parse_run_at
from taskclient.cli.schedule.options import find_schedule_id, takes_schedule, takes_schedule_times
from taskclient.cli.schedule.views import SCHEDULE_COLUMNS, fires_view, preview_view
from taskclient.cli.session import Session

PAGE_SIZE = 30


@click.command("list", cls=Command, aliases=("l", "ls"))
@click.pass_obj
def list_schedules(session: Session) -> None:
    """List every schedule with its next time."""
    with session.client() as client:
        session.show_list(client.schedules(), SCHEDULE_COLUMNS)


@click.command("get", cls=Command, aliases=("g", "show"))
@takes_schedule
@click.pass_obj
def get(session: Session, schedule: str) -> None:
    """Show a schedule with its task, its times and its state."""
    with session.client() as client:
        session.show_fields(client.schedule(find_schedule_id(client, schedule)))


@click.command("fires", cls=Command)
@takes_schedule
@click.option(
    "--limit", type=click.IntRange(1, 1_000), default=PAGE_SIZE, show_default=True, metavar="N", help="Page size."
)
@click.option(
    "--before", type=ParsedOption("time", parse_run_at), help="Next page: the value in the last line of a page."
)
@click.pass_obj
def fires(session: Session, schedule: str, limit: int, before: datetime | None) -> None:
    """Show what happened at a schedule's times, newest first."""
    with session.client() as client:
        page = client.schedule_fires(find_schedule_id(client, schedule), before=before, limit=limit)
        session.show(page, fires_view)


@click.command("preview", cls=Command)
@functools.partial(takes_schedule, is_required=False)
@takes_schedule_times
@click.option(
    "--count", type=click.IntRange(1, 100), default=10, show_default=True, metavar="N", help="Number of times."
)
@click.pass_obj
def preview(
    session: Session, schedule: str | None, cron: str | None, every_s: float | None, timezone: str | None, count: int
) -> None:
    """Show the next times of a schedule, or of --cron or --every."""
    if (schedule is None) == (cron is None and every_s is None):
        raise click.UsageError("Give either a schedule, or --cron or --every.")
    if schedule is not None and timezone is not None:
        raise click.UsageError("--timezone requires --cron or --every.")
    with session.client() as client:
        if schedule is not None:
            times = client.preview_schedule(find_schedule_id(client, schedule), count)
        else:
            times = client.preview_times(cron=cron, every_s=every_s, timezone=timezone or "UTC", count=count)
        session.show(times, preview_view)
