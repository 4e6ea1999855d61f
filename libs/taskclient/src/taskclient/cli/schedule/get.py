"""`task-cli schedule get`: show one schedule."""

from __future__ import annotations

import click

from taskclient.cli.command import Command
from taskclient.cli.output.views import fields_view
from taskclient.cli.schedule.options import find_schedule_id, takes_schedule
from taskclient.cli.session import Session


@click.command("get", cls=Command, aliases=("g", "show"))
@takes_schedule
@click.pass_obj
def get(session: Session, schedule: str) -> None:
    """Show a schedule with its task, its times and its state."""
    with session.client() as client:
        session.show(client.schedule(find_schedule_id(client, schedule)), fields_view)
