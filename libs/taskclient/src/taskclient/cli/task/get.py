"""`task-cli task get`: show one task."""

from __future__ import annotations

import click

from taskclient.cli.command import Command
from taskclient.cli.options import takes_task_id
from taskclient.cli.output.views import fields_view
from taskclient.cli.session import Session


@click.command("get", cls=Command, aliases=("g", "show"))
@takes_task_id
@click.pass_obj
def get(session: Session, task_id: int) -> None:
    """Show a task with its status and its result."""
    with session.client() as client:
        session.show(client.get(task_id), fields_view)
