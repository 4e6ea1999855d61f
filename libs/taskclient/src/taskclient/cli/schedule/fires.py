"""`task-cli schedule fires`: show what happened at a schedule's times."""

from __future__ import annotations

from datetime import datetime

import click

from taskclient.cli.command import Command
from taskclient.cli.options import ParsedOption
from taskclient.cli.parsing import parse_run_at
from taskclient.cli.schedule.options import find_schedule_id, takes_schedule
from taskclient.cli.schedule.views import fires_view
from taskclient.cli.session import Session

PAGE_SIZE = 30


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
