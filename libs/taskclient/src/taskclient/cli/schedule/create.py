"""`task-cli schedule create`: create a schedule."""

from __future__ import annotations

from typing import Any

import click

from taskclient.cli.command import Command
from taskclient.cli.output.views import fields_view
from taskclient.cli.schedule.options import (
    split_options,
    takes_schedule_policies,
    takes_schedule_times,
    takes_scheduled_task,
)
from taskclient.cli.session import Session
from taskclient.schedules.models import NewSchedule, ScheduledTask


@click.command("create", cls=Command, aliases=("c", "new"))
@click.argument("name")
@click.option("--type", "task_type", required=True, metavar="T", help="Task type; see `type list`.")
@takes_schedule_times
@click.option("--run-at-start", is_flag=True, help="Also submit the task now.")
@takes_schedule_policies
@takes_scheduled_task
@click.pass_obj
def create(session: Session, /, *, name: str, task_type: str, run_at_start: bool, **options: Any) -> None:
    """Create a schedule called NAME with the times of --cron or --every."""
    if options["cron"] is None and options["every_s"] is None:
        raise click.UsageError("Missing option '--cron' or '--every'.")
    fields, task = split_options(options)
    new = NewSchedule(name=name, task=ScheduledTask(type=task_type, **task), run_at_start=run_at_start, **fields)
    with session.client() as client:
        session.show(client.create_schedule(new), fields_view)
