"""`task-cli task dependencies` and `task dependents`: what a task waits for, and what waits for it."""

from __future__ import annotations

import click

from taskclient.cli.command import Command
from taskclient.cli.options import takes_task_id
from taskclient.cli.output.views import RELATED_COLUMNS
from taskclient.cli.session import Session
from taskclient.cli.worker import show_list


@click.command("dependencies", cls=Command)
@takes_task_id
@click.pass_obj
def dependencies(session: Session, task_id: int) -> None:
    """What a task depends on: it runs once all of these have succeeded."""
    with session.client() as client:
        show_list(session, client.dependencies(task_id), RELATED_COLUMNS)


@click.command("dependents", cls=Command)
@takes_task_id
@click.pass_obj
def dependents(session: Session, task_id: int) -> None:
    """What depends on a task, directly."""
    with session.client() as client:
        show_list(session, client.dependents(task_id), RELATED_COLUMNS)
