"""`task-cli task dependencies` and `task dependents`: what a task waits for, and what waits for it."""

from __future__ import annotations

import click

from taskclient.cli.command import Command
from taskclient.cli.options import takes_task_id
from taskclient.cli.output.views import RELATED_COLUMNS
from taskclient.cli.session import Session


@click.command("dependencies", cls=Command)
@takes_task_id
@click.pass_obj
def dependencies(session: Session, task_id: int) -> None:
    """List the tasks that a task depends on. It runs once all of them have succeeded."""
    with session.client() as client:
        session.show_list(client.dependencies(task_id), RELATED_COLUMNS)


@click.command("dependents", cls=Command)
@takes_task_id
@click.pass_obj
def dependents(session: Session, task_id: int) -> None:
    """List the tasks that depend directly on a task."""
    with session.client() as client:
        session.show_list(client.dependents(task_id), RELATED_COLUMNS)
