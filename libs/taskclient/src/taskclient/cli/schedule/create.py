"""`task-cli schedule create` and `schedule change`."""

from __future__ import annotations

from typing import Any

import click

from taskclient.cli.command import Command
from taskclient.cli.output.views import fields_view
from taskclient.cli.schedule.options import (
    drop_unset,
    find_schedule_id,
    scheduled_task_fields,
    takes_schedule,
    takes_schedule_policies,
    takes_schedule_times,
    takes_scheduled_task,
)
from taskclient.cli.session import Session
from taskclient.client import Client
from taskclient.schedules.models import NewSchedule, ScheduledTask

_SCHEDULE = (
    "cron",
    "every_s",
    "timezone",
    "description",
    "jitter_s",
    "overlap",
    "catch_up",
    "catch_up_limit",
)


@click.command("create", cls=Command, aliases=("c", "new"))
@click.argument("name")
@click.option("--type", "task_type", required=True, metavar="T", help="Its task's type; see `type list`.")
@takes_schedule_times
@click.option("--run-at-start", is_flag=True, help="The first time is now.")
@takes_schedule_policies
@takes_scheduled_task
@click.pass_obj
def create(session: Session, /, *, name: str, task_type: str, run_at_start: bool, **options: Any) -> None:
    """Make a schedule called NAME: --cron or --every says when."""
    _refuse_both(options)
    if options["cron"] is None and options["every_s"] is None:
        raise click.UsageError("Missing option '--cron' or '--every'.")
    members, task = _split(options)
    new = NewSchedule(name=name, task=ScheduledTask(type=task_type, **task), run_at_start=run_at_start, **members)
    with session.client() as client:
        session.show(client.create_schedule(new), fields_view)


@click.command("change", cls=Command)
@takes_schedule
@click.option("--name", metavar="NAME", help="Another name.")
@click.option("--type", "task_type", metavar="T", help="Another type of task.")
@takes_schedule_times
@takes_schedule_policies
@takes_scheduled_task
@click.pass_obj
def change(session: Session, /, *, which: str, name: str | None, task_type: str | None, **options: Any) -> None:
    """Change what is given; the rest stays, of its task too. --cron takes the place of --every, and the other way."""
    _refuse_both(options)
    members, task = _split(options)
    task |= drop_unset(type=task_type)
    if name is not None:
        members["name"] = name
    if not members and not task:
        raise click.UsageError("Say what to change.")
    with session.client() as client:
        schedule_id = find_schedule_id(client, which)
        if task:
            members["task"] = _changed_task(client, schedule_id, task)
        session.show(client.change_schedule(schedule_id, **members), fields_view)


def _changed_task(client: Client, schedule_id: int, members: dict[str, Any]) -> dict[str, Any]:
    """Its task, which is sent whole, with `members` in place of its own; parameters and labels one by one."""
    now = client.schedule(schedule_id).task
    added = {key: now.get(key, {}) | members[key] for key in ("parameters", "labels") if key in members}
    return now | members | added


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What concerns the schedule, and what its task."""
    members = {name: options.pop(name) for name in _SCHEDULE}
    return {name: value for name, value in members.items() if value is not None}, scheduled_task_fields(**options)


def _refuse_both(options: dict[str, Any]) -> None:
    if options["cron"] is not None and options["every_s"] is not None:
        raise click.UsageError("--cron and --every both say when: give one of them.")
