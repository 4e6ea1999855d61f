"""`task-cli queue …`: what waits in each queue, and holding it back."""

from __future__ import annotations

import click

from taskclient.cli.command import Group
from taskclient.cli.output.views import QUEUE_COLUMNS, fields_view
from taskclient.cli.session import Session
from taskclient.cli.worker import show_list


@click.group(cls=Group)
def queue() -> None:
    """The queues that tasks wait in."""


@queue.command("list", aliases=("l", "ls"))
@click.pass_obj
def list_queues(session: Session) -> None:
    """Every queue, with what waits in it and who serves it."""
    with session.client() as client:
        show_list(session, client.queues(), QUEUE_COLUMNS)


@queue.command("pause")
@click.argument("name")
@click.option("--reason", metavar="TEXT", help="Why, for whoever lists the queues.")
@click.pass_obj
def pause(session: Session, name: str, reason: str | None) -> None:
    """Start nothing of the queue NAME until it is resumed. What runs goes on."""
    with session.client() as client:
        session.show(client.pause_queue(name, reason), fields_view)


@queue.command("resume")
@click.argument("name")
@click.pass_obj
def resume(session: Session, name: str) -> None:
    """Start the tasks of the queue NAME again."""
    with session.client() as client:
        session.show(client.resume_queue(name), fields_view)
