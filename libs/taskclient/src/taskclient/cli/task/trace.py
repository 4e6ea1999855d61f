"""`task-cli trace` and `task-cli task trace`: what was done for one task, and how long each step took."""

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
    """A task's trace as a tree: when each step began, how long it took, and where.

    Later attempts follow with traces of their own. The server must know where traces are kept (tracing.query_url), or
    keep them itself, as the standalone does.
    """
    with session.client() as client:
        session.show(client.trace(task_id), trace_view)
