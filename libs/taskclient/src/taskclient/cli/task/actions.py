"""`task-cli task cancel`, `pause`, `resume`, `retry` and `delete`."""

from __future__ import annotations

import click
from rich.text import Text

from taskclient.cli.command import Command
from taskclient.cli.options import takes_task_id
from taskclient.cli.session import Session

takes_reason = click.option("--reason", metavar="TEXT", help="Reason, recorded in the task's history.")


@click.command("cancel", cls=Command)
@takes_task_id
@takes_reason
@click.pass_obj
def cancel(session: Session, task_id: int, reason: str | None) -> None:
    """Cancel an unfinished task. A running one is asked to stop, if its type supports that."""
    with session.client() as client:
        session.show_fields(client.cancel(task_id, reason))


@click.command("pause", cls=Command)
@takes_task_id
@takes_reason
@click.pass_obj
def pause(session: Session, task_id: int, reason: str | None) -> None:
    """Pause a waiting task, or ask a running one to pause, if its type supports that."""
    with session.client() as client:
        session.show_fields(client.pause(task_id, reason))


@click.command("resume", cls=Command)
@takes_task_id
@click.pass_obj
def resume(session: Session, task_id: int) -> None:
    """Resume a paused task."""
    with session.client() as client:
        session.show_fields(client.resume(task_id))


@click.command("retry", cls=Command)
@takes_task_id
@click.pass_obj
def retry(session: Session, task_id: int) -> None:
    """Run a failed or cancelled task again."""
    with session.client() as client:
        session.show_fields(client.retry(task_id))


@click.command("delete", cls=Command)
@takes_task_id
@click.pass_obj
def delete(session: Session, task_id: int) -> None:
    """Delete a task that is not running. Its history stays."""
    with session.client() as client:
        client.delete(task_id)
    session.show({"id": task_id, "deleted": True}, lambda _: Text(f"task {task_id} deleted"))
