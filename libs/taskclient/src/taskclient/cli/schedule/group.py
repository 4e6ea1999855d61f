"""The command group `task-cli schedule`."""

from __future__ import annotations

import click

from taskclient.cli.command import Group
from taskclient.cli.schedule.actions import delete, pause, resume, run
from taskclient.cli.schedule.edit import change, create
from taskclient.cli.schedule.show import fires, get, list_schedules, preview


@click.group(cls=Group)
def schedule() -> None:
    """Create and control schedules, which submit a task at given times."""


for command in (list_schedules, get, create, change, delete, pause, resume, run, preview, fires):
    schedule.add_command(command)
