"""`task-cli history` and `task-cli task history`: every step of one task."""

from __future__ import annotations

import click

from taskclient.cli.command import Command
from taskclient.cli.options import takes_task_id
from taskclient.cli.output.views import HISTORY_COLUMNS
from taskclient.cli.session import Session
from taskclient.cli.worker import show_list


@click.command("history", cls=Command, aliases=("h", "log"))
@takes_task_id
@click.pass_obj
def history(session: Session, task_id: int) -> None:
    """Every step of a task, oldest first; of a deleted one too."""
    with session.client() as client:
        show_list(session, client.history(task_id), HISTORY_COLUMNS)
