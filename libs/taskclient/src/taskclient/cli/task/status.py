"""`task-cli task status`: count the tasks by status."""

from __future__ import annotations

import click

from taskclient.cli.command import Command
from taskclient.cli.output.views import counts_view
from taskclient.cli.session import Session


@click.command("status", cls=Command, aliases=("s", "stat"))
@click.pass_obj
def status(session: Session) -> None:
    """Count the tasks by status."""
    with session.client() as client:
        session.show(client.counts(), counts_view)
