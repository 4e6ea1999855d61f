"""`task-cli history` and `task-cli task history`: the transitions of a task."""

from __future__ import annotations

import click

from taskclient.cli.command import Command
from taskclient.cli.options import takes_task_id
from taskclient.cli.output.views import HISTORY_COLUMNS
from taskclient.cli.session import Session


@click.command("history", cls=Command, aliases=("h", "log"))
@takes_task_id
@click.pass_obj
def history(session: Session, task_id: int) -> None:
    """Show every transition of a task, oldest first. Deleted tasks keep their history."""
    with session.client() as client:
        session.show_list(client.history(task_id), HISTORY_COLUMNS)
