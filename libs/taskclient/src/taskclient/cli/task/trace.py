"""`task-cli trace` and `task-cli task trace`: the spans of a task, and how long each took."""

from __future__ import annotations

import click

from taskclient.cli.command import Command
from taskclient.cli.options import takes_task_id
from taskclient.cli.session import Session
from taskclient.cli.task.trace_view import trace_view


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
