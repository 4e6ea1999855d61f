"""`task-cli task wait`, and how other commands wait for a task and exit by its status."""

from __future__ import annotations

from datetime import timedelta
from typing import NoReturn

import click

from taskclient.cli.command import Command
from taskclient.cli.exit_codes import ExitCode, exit_with_error
from taskclient.cli.options import takes_task_id, takes_timeout
from taskclient.cli.output.formatting import first_line
from taskclient.cli.session import Session
from taskclient.client import Client
from taskclient.errors import WaitTimeout
from taskclient.models import Status, Task


@click.command("wait", cls=Command)
@takes_task_id
@takes_timeout
@click.pass_obj
def wait(session: Session, task_id: int, timeout: timedelta | None) -> None:
    """Wait until a task has finished. Exit with 0 if it succeeded, 3 if it did not, 4 on timeout."""
    with session.client() as client:
        wait_and_show(session, client, task_id, timeout)


def wait_for_submitted(session: Session, client: Client, task_id: int, timeout: timedelta | None) -> NoReturn:
    """Print the id of a task that was just submitted, and go on as `wait_and_show` does."""
    session.console().print(f"submitted task {task_id}")
    wait_and_show(session, client, task_id, timeout)


def wait_and_show(session: Session, client: Client, task_id: int, timeout: timedelta | None) -> NoReturn:
    """Print the task once it has finished or the timeout has expired, and exit by its status."""
    try:
        with session.console().status(f"waiting for task {task_id}"):
            task = client.wait(task_id, timeout)
    except WaitTimeout as error:
        session.show_fields(error.task)
        raise
    session.show_fields(task)
    exit_by_status(task)


def exit_by_status(task: Task) -> NoReturn:
    """Exit with the code for a finished task. If it did not succeed, print why."""
    if task.status != Status.SUCCEEDED:
        why = first_line(task.error) or task.reason
        exit_with_error(f"task {task.id} {task.status}" + (f": {why}" if why else ""), ExitCode.TASK_FAILED)
    click.get_current_context().exit(ExitCode.SUCCESS)
