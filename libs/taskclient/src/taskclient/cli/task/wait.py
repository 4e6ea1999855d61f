"""Waiting for a task's end, and ending as the task did."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import click

from taskclient.cli.exit_codes import ExitCode, exit_code_for, exit_with_error
from taskclient.cli.output.formatting import first_line
from taskclient.cli.output.views import task_view
from taskclient.cli.session import Session
from taskclient.client import Client
from taskclient.errors import WaitTimeout
from taskclient.models import Task

F = TypeVar("F", bound=Callable[..., Any])


def takes_timeout(function: F, name: str = "--timeout") -> F:
    return click.option(
        name,
        type=click.FloatRange(min=0, max=10**9),
        metavar="SECONDS",
        help="How long to wait at most; without it, for as long as it takes.",
    )(function)


def takes_wait_timeout(function: F) -> F:
    """Where `--timeout` means something else."""
    return takes_timeout(function, "--wait-timeout")


def wait_and_show(session: Session, client: Client, task_id: int, timeout_s: float | None) -> NoReturn:
    """Print the task once it is over, or as it stands when the time is, and end the program with its exit code."""
    timeout = None if timeout_s is None else timedelta(seconds=timeout_s)
    try:
        with session.console().status(f"waiting for task {task_id}"):
            task = client.wait(task_id, timeout)
    except WaitTimeout as error:
        session.show(error.task, task_view)
        raise
    session.show(task, task_view)
    exit_as_task(task)


def exit_as_task(task: Task) -> NoReturn:
    """End the program with the exit code of a task that is over; say why where that is not 0."""
    code = exit_code_for(task)
    if code is not ExitCode.SUCCESS:
        why = first_line(task.error) or task.reason
        exit_with_error(f"task {task.id} {task.status}" + (f": {why}" if why else ""), code)
    click.get_current_context().exit(code)
