"""`task-cli task events`: the Kubernetes events about a task's pods."""

from __future__ import annotations

from datetime import timedelta

import click

from taskclient.cli.command import Command
from taskclient.cli.kubernetes.views import EVENT_COLUMNS, PRINTER
from taskclient.cli.options import takes_follow, takes_task_id
from taskclient.cli.session import Session
from taskclient.cli.task.wait import exit_by_status
from taskclient.kubernetes.streams import TaskEventStream
from taskclient.task_streams import follow_task


@click.command("events", cls=Command)
@takes_task_id
@takes_follow("new events until the task has finished")
@click.pass_obj
def events(session: Session, task_id: int, is_following: bool, timeout: timedelta | None) -> None:
    """Show the Kubernetes events about a task's pods, in the order of their arrival.

    With --follow, exit with 0 once the task has succeeded, 3 if it did not succeed, 4 on timeout.
    """
    with session.client() as client:
        stream = TaskEventStream(client, task_id)
        if not is_following:
            session.show_list(list(stream.read_new()), EVENT_COLUMNS)
            return
        task = PRINTER.print(follow_task(client, task_id, stream.read_new, timeout), session.output)
        if task is not None:
            exit_by_status(task)
