"""`task-cli queue …`: list, pause, resume and delete queues."""

from __future__ import annotations

import click
from rich.text import Text

from taskclient.cli.command import Group
from taskclient.cli.output.views import QUEUE_COLUMNS
from taskclient.cli.session import Session


@click.group(cls=Group)
def queue() -> None:
    """List, pause, resume and delete queues."""


@queue.command("list", aliases=("l", "ls"))
@click.pass_obj
def list_queues(session: Session) -> None:
    """List every queue with its tasks and its live slots."""
    with session.client() as client:
        session.show_list(client.queues(), QUEUE_COLUMNS)


@queue.command("pause")
@click.argument("name")
@click.option("--reason", metavar="TEXT", help="Reason, shown in the list of queues.")
@click.pass_obj
def pause(session: Session, name: str, reason: str | None) -> None:
    """Start no more tasks of the queue NAME until it is resumed. Running tasks continue."""
    with session.client() as client:
        session.show_fields(client.pause_queue(name, reason))


@queue.command("resume")
@click.argument("name")
@click.pass_obj
def resume(session: Session, name: str) -> None:
    """Resume the paused queue NAME."""
    with session.client() as client:
        session.show_fields(client.resume_queue(name))


@queue.command("delete")
@click.argument("name")
@click.pass_obj
def delete(session: Session, name: str) -> None:
    """Delete the queue NAME, which must have no unfinished task. A task that names it later creates it again."""
    with session.client() as client:
        client.delete_queue(name)
    session.show({"name": name, "deleted": True}, lambda _: Text(f"queue {name} deleted"))
