"""`task-cli worker …` and `task-cli type …`: list workers and task types."""

from __future__ import annotations

import click

from taskclient.cli.command import Group
from taskclient.cli.output.views import TYPE_COLUMNS, WORKER_COLUMNS
from taskclient.cli.session import Session


@click.group(cls=Group)
def worker() -> None:
    """List the workers that run tasks."""


@worker.command("list", aliases=("l", "ls"))
@click.pass_obj
def list_workers(session: Session) -> None:
    """List every known worker with its queues, its types and its load."""
    with session.client() as client:
        session.show_list(client.workers(), WORKER_COLUMNS)


@click.group("type", cls=Group)
def task_type() -> None:
    """List the task types that can be submitted."""


@task_type.command("list", aliases=("l", "ls"))
@click.pass_obj
def list_types(session: Session) -> None:
    """List every type. With -o json or yaml, include the schema of its parameters and its retry policy."""
    with session.client() as client:
        session.show_list(client.task_types(), TYPE_COLUMNS)
