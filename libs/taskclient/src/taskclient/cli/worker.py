"""`task-cli worker …`: list workers."""

from __future__ import annotations

import click

from taskclient.cli.command import Group
from taskclient.cli.output.views import WORKER_COLUMNS
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
