"""`task-cli schedule create` and `change`."""

from __future__ import annotations

from typing import Any

import click

from taskclient.cli.command import Command
from taskclient.cli.schedule.options import (
    find_schedule_id,
    split_options,
    takes_schedule,
    takes_schedule_options,
    takes_schedule_times,
)
from taskclient.cli.session import Session
from taskclient.cli.task.options import drop_unset
from taskclient.schedules.models import NewSchedule, ScheduledTask


@click.command("create", cls=Command, aliases=("c", "new"))
@click.argument("name")
@click.option("--type", "task_type", required=True, metavar="T", help="Task type; see `type list`.")
@takes_schedule_times
@click.option("--run-at-start", is_flag=True, help="Also submit the task now.")
@takes_schedule_options
@click.pass_obj
def create(session: Session, /, *, name: str, task_type: str, run_at_start: bool, **options: Any) -> None:
    """Create a schedule called NAME with the times of --cron or --every."""
    if options["cron"] is None and options["every_s"] is None:
        raise click.UsageError("Missing option '--cron' or '--every'.")
    fields, task = split_options(options)
    new = NewSchedule(name=name, task=ScheduledTask(type=task_type, **task), run_at_start=run_at_start, **fields)
    with session.client() as client:
        session.show_fields(client.create_schedule(new))


@click.command("change", cls=Command)
@takes_schedule
@click.option("--name", metavar="NAME", help="New name.")
@click.option("--type", "task_type", metavar="T", help="New task type.")
@takes_schedule_times
@takes_schedule_options
@click.pass_obj
def change(session: Session, /, *, schedule: str, name: str | None, task_type: str | None, **options: Any) -> None:
    """Change the given fields of a schedule and of its task; the others keep their values.

    --cron replaces --every, and the reverse. The defaults below are those of `schedule create`.
    """
    fields, task = split_options(options)
    fields |= drop_unset(name=name)
    task |= drop_unset(type=task_type)
    if not fields and not task:
        raise click.UsageError("Give at least one option to change.")
    with session.client() as client:
        schedule_id = find_schedule_id(client, schedule)
        if task:
            fields["task"] = _merge_task(client.schedule(schedule_id).task, task)
        session.show_fields(client.change_schedule(schedule_id, **fields))


def _merge_task(current: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the whole task, as the API requires. Parameters and labels are merged key by key."""
    merged = {key: current.get(key, {}) | changes[key] for key in ("parameters", "labels") if key in changes}
    return current | changes | merged
