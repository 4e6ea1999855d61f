"""`task-cli task …`: one task at a time, and the counts of all."""

from __future__ import annotations

import click
import msgspec
from rich.text import Text

from taskclient.cli.command import Group
from taskclient.cli.kubernetes.events import task_events
from taskclient.cli.options import takes_task_id
from taskclient.cli.output.views import counts_view, task_view
from taskclient.cli.session import Session
from taskclient.cli.task.create import create
from taskclient.cli.task.dependencies import dependencies, dependents
from taskclient.cli.task.history import history
from taskclient.cli.task.list import list_tasks
from taskclient.cli.task.logs import logs, watch
from taskclient.cli.task.trace import trace
from taskclient.cli.task.wait import takes_timeout, wait_and_show


class Deletion(msgspec.Struct, frozen=True):
    """What is printed of a task that is no more."""

    id: int
    deleted: bool = True


@click.group(cls=Group, aliases=("t",))
def task() -> None:
    """Tasks: submit them, look at them, steer them."""


task.add_command(create)
task.add_command(list_tasks)
task.add_command(history)
task.add_command(logs)
task.add_command(watch)
task.add_command(trace)
task.add_command(dependencies)
task.add_command(dependents)
task.add_command(task_events)


@task.command("get", aliases=("g", "show"))
@takes_task_id
@click.pass_obj
def get(session: Session, task_id: int) -> None:
    """One task: what was asked, and how it stands."""
    with session.client() as client:
        session.show(client.get(task_id), task_view)


@task.command("status", aliases=("s", "stat"))
@click.pass_obj
def status(session: Session) -> None:
    """How many tasks stand at each status."""
    with session.client() as client:
        session.show(client.counts(), counts_view)


@task.command("wait")
@takes_task_id
@takes_timeout
@click.pass_obj
def wait(session: Session, task_id: int, timeout: float | None) -> None:
    """Wait for a task's end. Exit 0 if it succeeded, 3 if it did not, 4 if the time was up first."""
    with session.client() as client:
        wait_and_show(session, client, task_id, timeout)


@task.command("cancel")
@takes_task_id
@click.option("--reason", metavar="TEXT", help="Why, for its history.")
@click.pass_obj
def cancel(session: Session, task_id: int, reason: str | None) -> None:
    """Cancel a task that is not over. One that runs is told to stop, if its type can."""
    with session.client() as client:
        session.show(client.cancel(task_id, reason), task_view)


@task.command("pause")
@takes_task_id
@click.option("--reason", metavar="TEXT", help="Why, for its history.")
@click.pass_obj
def pause(session: Session, task_id: int, reason: str | None) -> None:
    """Hold a task that waits; ask one that runs to pause, if its type can."""
    with session.client() as client:
        session.show(client.pause(task_id, reason), task_view)


@task.command("resume")
@takes_task_id
@click.pass_obj
def resume(session: Session, task_id: int) -> None:
    """Let a paused task go on."""
    with session.client() as client:
        session.show(client.resume(task_id), task_view)


@task.command("retry")
@takes_task_id
@click.pass_obj
def retry(session: Session, task_id: int) -> None:
    """Run a failed or cancelled task again."""
    with session.client() as client:
        session.show(client.retry(task_id), task_view)


@task.command("delete")
@takes_task_id
@click.pass_obj
def delete(session: Session, task_id: int) -> None:
    """Delete a task that is not running. Its history stays."""
    with session.client() as client:
        client.delete(task_id)
    session.show(Deletion(task_id), lambda deletion: Text(f"task {deletion.id} deleted"))
