"""Options of the commands about schedules: which schedule, its times, its policies and its task."""

from __future__ import annotations

import functools
from typing import Any, cast

import click

from taskclient.cli.exit_codes import ExitCode, exit_with_error
from taskclient.cli.options import F, ParsedOption, combine
from taskclient.cli.parsing import parse_duration
from taskclient.cli.task.options import drop_unset, takes_task_fields, task_fields
from taskclient.client import Client
from taskclient.schedules.models import NewSchedule

OVERLAPS = ("skip", "queue", "allow")
CATCH_UPS = ("none", "last", "all")

#: Gives a command `--cron`, `--every` and `--timezone`.
takes_schedule_times = combine(
    click.option("--cron", metavar="LINE", help='At the times of a cron line: "*/5 8-18 * * MON-FRI", @daily.'),
    click.option(
        "--every", "every_s", type=ParsedOption("duration", parse_duration), help="Interval: 90s, 10m, 1h, 7d."
    ),
    click.option("--timezone", metavar="ZONE", help="Time zone of --cron, such as Europe/Berlin. [default: UTC]"),
)
#: Gives a command the other options that describe a schedule and its task, except the type of the task.
takes_schedule_options = combine(
    click.option("--description", metavar="D", help="Description."),
    click.option(
        "--jitter",
        "jitter_s",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="Delay each task by a random time up to this. [default: 0]",
    ),
    click.option(
        "--overlap",
        type=click.Choice(OVERLAPS),
        help="What to do while the previous task is unfinished. [default: skip]",
    ),
    click.option("--catch-up", type=click.Choice(CATCH_UPS), help="What to do with missed times. [default: last]"),
    click.option(
        "--catch-up-limit",
        type=click.IntRange(min=1),
        metavar="N",
        help="How many missed times to run at most. [default: 100]",
    ),
    click.option("--task-name", metavar="NAME", help="Name of the task. [default: the schedule's]"),
    takes_task_fields,
)


def takes_schedule(function: F, *, is_required: bool = True) -> F:
    """Give a command `--id N`, or a number or name as argument. Its function gets it as `schedule`.

    Unless it is required, `schedule` may be None.
    """

    @click.option("--id", "schedule_id", type=click.IntRange(min=1), metavar="N", help="The schedule's id.")
    @click.argument("schedule", required=False, metavar="[N|NAME]")
    @functools.wraps(function)
    def command(*args: Any, schedule_id: int | None, schedule: str | None, **kwargs: Any) -> Any:
        if schedule_id is not None and schedule is not None:
            raise click.UsageError("Give the schedule once: as --id N, as N or by name.")
        given = schedule if schedule_id is None else str(schedule_id)
        if given is None and is_required:
            raise click.UsageError("Missing option '--id', or the schedule's name.")
        return function(*args, schedule=given, **kwargs)

    return cast("F", command)


def find_schedule_id(client: Client, schedule: str) -> int:
    """Return the id of the schedule with this number or name. Exit with an error if the name does not exist."""
    if schedule.isascii() and schedule.isdigit():
        return int(schedule)
    ids = [found.id for found in client.schedules() if found.name == schedule]
    return ids[0] if ids else exit_with_error(f"no schedule is named {schedule!r}", ExitCode.ERROR)


def split_options(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the given fields of the schedule, and those of its task."""
    if options["cron"] is not None and options["every_s"] is not None:
        raise click.UsageError("--cron and --every exclude each other.")
    fields = drop_unset(**{name: options.pop(name) for name in NewSchedule.__struct_fields__ if name in options})
    return fields, task_fields(name=options.pop("task_name"), **options)
