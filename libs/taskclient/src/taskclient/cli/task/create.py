"""`task-cli task create`: submit one task."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from taskclient.cli.command import Command
from taskclient.cli.options import ParsedOption, takes_wait
from taskclient.cli.parsing import parse_run_at
from taskclient.cli.session import Session
from taskclient.cli.task.options import takes_task_fields, task_fields
from taskclient.cli.task.wait import wait_for_submitted
from taskclient.models import NewTask


@click.command("create", cls=Command, aliases=("c", "new"))
@click.argument("name")
@click.option("--type", "task_type", required=True, metavar="T", help="Task type; see `type list`.")
@click.option("--description", metavar="D", help="Description.")
@click.option(
    "--run-at",
    type=ParsedOption("time", parse_run_at),
    help="Earliest start: ISO 8601 with a time zone, or a delay from now: +30s, +5m, +2h, +1d. [default: now]",
)
@click.option(
    "--depends-on",
    multiple=True,
    type=click.IntRange(min=1),
    metavar="ID",
    help="Wait until the task ID has succeeded. Repeatable.",
)
@takes_task_fields
@takes_wait
@click.pass_obj
def create(
    session: Session,
    /,
    *,
    name: str,
    task_type: str,
    wait: bool,
    wait_timeout: timedelta | None,
    **options: Any,
) -> None:
    """Submit a task called NAME."""
    new = NewTask(name=name, type=task_type, **task_fields(**options))
    with session.client() as client:
        task = client.submit(new)
        if wait:
            wait_for_submitted(session, client, task.id, wait_timeout)
        session.show_fields(task)
