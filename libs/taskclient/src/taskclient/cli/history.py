"""`task-cli history` and `task-cli task history`: every step of one task."""

from __future__ import annotations

import click

from taskclient.cli.command import Command
from taskclient.cli.listings import show_listing
from taskclient.cli.options import takes_task_id
from taskclient.cli.session import Session
from taskclient.views import HISTORY_COLUMNS


@click.command("history", cls=Command, aliases=("h", "log"))
@takes_task_id
@click.pass_obj
def history(session: Session, task_id: int) -> None:
    """Every step of a task, oldest first; of a deleted one too."""
    with session.client() as client:
        show_listing(session, client.history(task_id), HISTORY_COLUMNS)
