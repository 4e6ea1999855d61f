"""The command group `task-cli task`."""

from __future__ import annotations

import click

from taskclient.cli.command import Group
from taskclient.cli.task.actions import cancel, delete, pause, resume, retry
from taskclient.cli.task.create import create
from taskclient.cli.task.follow import events, logs, watch
from taskclient.cli.task.list import list_tasks
from taskclient.cli.task.show import dependencies, dependents, get, history, status, trace
from taskclient.cli.task.wait import wait


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
