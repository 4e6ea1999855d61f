"""`task-cli task get`, `history`, `dependencies`, `dependents`, `trace` and `status`."""

from __future__ import annotations

import click

from taskclient.cli.command import Command
from taskclient.cli.options import takes_task_id
from taskclient.cli.output.views import HISTORY_COLUMNS, RELATED_COLUMNS, counts_view
from taskclient.cli.session import Session
from taskclient.cli.task.trace_view import trace_view


@click.command("get", cls=Command, aliases=("g", "show"))
@takes_task_id
@click.pass_obj
def get(session: Session, task_id: int) -> None:
    """Show a task with its status and its result."""
    with session.client() as client:
        session.show_fields(client.get(task_id))


@click.command("history", cls=Command, aliases=("h", "log"))
@takes_task_id
@click.pass_obj
def history(session: Session, task_id: int) -> None:
    """Show every transition of a task, oldest first. Deleted tasks keep their history."""
    with session.client() as client:
        session.show_list(client.history(task_id), HISTORY_COLUMNS)


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


@click.command("trace", cls=Command)
@takes_task_id
@click.pass_obj
def trace(session: Session, task_id: int) -> None:
    """Show a task's trace as a tree: the start, the duration and the service of each span.

    Later attempts have traces of their own. The server must have a trace backend to query (tracing.query_url) or keep
    traces itself, as the standalone does.
    """
    with session.client() as client:
        session.show(client.trace(task_id), trace_view)


@click.command("status", cls=Command, aliases=("s", "stat"))
@click.pass_obj
def status(session: Session) -> None:
    """Count the tasks by status."""
    with session.client() as client:
        session.show(client.counts(), counts_view)
