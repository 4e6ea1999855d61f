"""`task-cli task logs`: the log lines of a task's attempts."""

from __future__ import annotations

from datetime import timedelta

import click

from taskclient.cli.command import Command
from taskclient.cli.options import takes_follow, takes_task_id
from taskclient.cli.output.views import LOG_COLUMNS
from taskclient.cli.session import Session
from taskclient.cli.task.watch import print_and_exit
from taskclient.task_streams import LogStream, follow_task


@click.command("logs", cls=Command)
@takes_task_id
@click.option("--attempt", type=click.IntRange(min=1), metavar="A", help="Only lines of this attempt.")
@takes_follow("new lines until the task has finished")
@click.pass_obj
def logs(session: Session, task_id: int, attempt: int | None, is_following: bool, timeout: timedelta | None) -> None:
    """Show the log lines of a task, oldest first.

    With --follow, print lines as they arrive (with -o json, one document per line) and exit with 0 once the task has
    succeeded, 3 if it did not succeed, 4 on timeout.
    """
    with session.client() as client:
        stream = LogStream(client, task_id, attempt)
        if is_following:
            print_and_exit(session, follow_task(client, task_id, stream.read_new, timeout))
        else:
            session.show_list(list(stream.read_new()), LOG_COLUMNS)
