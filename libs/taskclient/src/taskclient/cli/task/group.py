"""The command group `task-cli task`."""

from __future__ import annotations

import click

from taskclient.cli.command import Group
from taskclient.cli.task.actions import cancel, delete, pause, resume, retry
from taskclient.cli.task.create import create
from taskclient.cli.task.dependencies import dependencies, dependents
from taskclient.cli.task.events import events
from taskclient.cli.task.get import get
from taskclient.cli.task.history import history
from taskclient.cli.task.list import list_tasks
from taskclient.cli.task.logs import logs
from taskclient.cli.task.status import status
from taskclient.cli.task.trace import trace
from taskclient.cli.task.wait import wait
from taskclient.cli.task.watch import watch


@click.group(cls=Group, aliases=("t",))
def task() -> None:
    """Submit, inspect and control tasks."""


for command in (
    create,
    list_tasks,
    history,
    logs,
    watch,
    trace,
    dependencies,
    dependents,
    events,
    get,
    status,
    wait,
    cancel,
    pause,
    resume,
    retry,
    delete,
):
    task.add_command(command)
