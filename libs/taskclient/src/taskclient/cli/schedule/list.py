"""`task-cli schedule list`: list all schedules."""

from __future__ import annotations

import click

from taskclient.cli.command import Command
from taskclient.cli.schedule.views import SCHEDULE_COLUMNS
from taskclient.cli.session import Session


@click.command("list", cls=Command, aliases=("l", "ls"))
@click.pass_obj
def list_schedules(session: Session) -> None:
    """List every schedule with its next time."""
    with session.client() as client:
        session.show_list(client.schedules(), SCHEDULE_COLUMNS)
