"""`task-cli schedule change`: change some fields of a schedule and of its task."""

from __future__ import annotations

from typing import Any

import click

from taskclient.cli.command import Command
from taskclient.cli.output.views import fields_view
from taskclient.cli.schedule.options import (
    find_schedule_id,
    split_options,
    takes_schedule,
    takes_schedule_policies,
    takes_schedule_times,
    takes_scheduled_task,
)
from taskclient.cli.session import Session
from taskclient.cli.task.options import drop_unset


@click.command("change", cls=Command)
@takes_schedule
@click.option("--name", metavar="NAME", help="New name.")
@click.option("--type", "task_type", metavar="T", help="New task type.")
@takes_schedule_times
@takes_schedule_policies
@takes_scheduled_task
@click.pass_obj
def change(session: Session, /, *, schedule: str, name: str | None, task_type: str | None, **options: Any) -> None:
    """Change the given fields of a schedule and of its task. --cron replaces --every, and the reverse."""
    fields, task = split_options(options)
    fields |= drop_unset(name=name)
    task |= drop_unset(type=task_type)
    if not fields and not task:
        raise click.UsageError("Give at least one option to change.")
    with session.client() as client:
        schedule_id = find_schedule_id(client, schedule)
        if task:
            fields["task"] = _merge_task(client.schedule(schedule_id).task, task)
        session.show(client.change_schedule(schedule_id, **fields), fields_view)


def _merge_task(current: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the whole task, as the API requires. Parameters and labels are merged key by key."""
    merged = {key: current.get(key, {}) | changes[key] for key in ("parameters", "labels") if key in changes}
    return current | changes | merged
