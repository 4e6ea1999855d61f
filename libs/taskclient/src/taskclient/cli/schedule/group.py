"""The command group `task-cli schedule`."""

from __future__ import annotations

import click

from taskclient.cli.command import Group
from taskclient.cli.schedule.actions import delete, pause, resume, run
from taskclient.cli.schedule.change import change
from taskclient.cli.schedule.create import create
from taskclient.cli.schedule.fires import fires
from taskclient.cli.schedule.get import get
from taskclient.cli.schedule.list import list_schedules
from taskclient.cli.schedule.preview import preview


@click.group(cls=Group)
def schedule() -> None:
    """Create and control schedules, which submit a task at given times."""


for command in (list_schedules, get, create, change, delete, pause, resume, run, preview, fires):
    schedule.add_command(command)
