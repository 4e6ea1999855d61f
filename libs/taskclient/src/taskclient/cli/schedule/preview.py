"""`task-cli schedule preview`: show the next times of a schedule, a cron line or an interval."""

from __future__ import annotations

import click

from taskclient.cli.command import Command
from taskclient.cli.schedule.options import find_schedule_id, takes_optional_schedule, takes_schedule_times
from taskclient.cli.schedule.views import preview_view
from taskclient.cli.session import Session


@click.command("preview", cls=Command)
@takes_optional_schedule
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
