"""The options of `task-cli schedule …`: which schedule, when, how, and with what task."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import click

from taskclient.cli.exit_codes import ExitCode, exit_with_error
from taskclient.cli.options import ParsedOption
from taskclient.cli.parsing import parse_duration, parse_object, parse_pair, parse_parameter, unique_pairs
from taskclient.client import Client

F = TypeVar("F", bound=Callable[..., Any])

OVERLAPS = ("skip", "queue", "allow")
CATCH_UPS = ("none", "last", "all")
AT_LEAST_0, AT_LEAST_1 = click.FloatRange(min=0), click.IntRange(min=1)

_TIMES = (
    click.option("--cron", metavar="LINE", help='At the times of a cron line: "*/5 8-18 * * MON-FRI", @daily.'),
    click.option(
        "--every", "every_s", type=ParsedOption("span", parse_duration), help="In this interval: 90s, 10m, 1h, 7d."
    ),
    click.option("--timezone", metavar="ZONE", help="The cron line's, such as Europe/Berlin. [default: UTC]"),
)
_POLICIES = (
    click.option("--description", metavar="D", help="What it is for, in words."),
    click.option(
        "--jitter", "jitter_s", type=AT_LEAST_0, metavar="SECONDS", help="Put each task off by up to so long."
    ),
    click.option(
        "--overlap", type=click.Choice(OVERLAPS), help="When the task before is not over: skip unless said otherwise."
    ),
    click.option(
        "--catch-up", type=click.Choice(CATCH_UPS), help="Of times that nobody was there for: last unless said."
    ),
    click.option("--catch-up-limit", type=AT_LEAST_1, metavar="N", help="Of those, so many. [default: 100]"),
)
_TASK = (
    click.option(
        "-p",
        "--parameter",
        "parameters",
        multiple=True,
        type=ParsedOption("key=value", parse_parameter),
        help="A parameter of its task, as of `task create`. Repeatable.",
    ),
    click.option(
        "--parameters-json",
        type=ParsedOption("json", parse_object),
        metavar="OBJECT",
        help="All parameters as one JSON object; --parameter adds to it and overrides it.",
    ),
    click.option("--task-name", metavar="NAME", help="Its task's name, if not the schedule's."),
    click.option("--queue", metavar="Q", help="The queue to wait in, if not its type's."),
    click.option("--priority", type=int, metavar="N", help="-100 to 100, higher first. [default: 0]"),
    click.option("--label", "labels", multiple=True, type=ParsedOption("key=value", parse_pair), help="Repeatable."),
    click.option("--max-attempts", type=AT_LEAST_1, metavar="N", help="How often to try, if not as its type."),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="How long each attempt may take.",
    ),
    click.option("--delete-after", type=AT_LEAST_0, metavar="SECONDS", help="Delete it so long after its end."),
)


def takes_schedule_times(function: F) -> F:
    return _all(_TIMES, function)


def takes_schedule_policies(function: F) -> F:
    return _all(_POLICIES, function)


def takes_scheduled_task(function: F) -> F:
    """What `task_members` reads, but for the type."""
    return _all(_TASK, function)


def takes_schedule(function: F) -> F:
    """Give a command `--id N`, or a number or a name in its place, and what was given as the argument `which`."""
    return _named(function, is_required=True)


def takes_optional_schedule(function: F) -> F:
    """As `takes_schedule`, and `which` is None when none was named."""
    return _named(function, is_required=False)


def find_schedule_id(client: Client, which: str) -> int:
    """The id of the schedule that is named by its number or its name. Ends the program when there is none."""
    if which.isascii() and which.isdigit():
        return int(which)
    ids = [schedule.id for schedule in client.schedules() if schedule.name == which]
    return ids[0] if ids else exit_with_error(f"there is no schedule named {which!r}", ExitCode.ERROR)


def drop_unset(**values: Any) -> dict[str, Any]:
    """Those that were given."""
    return {name: value for name, value in values.items() if value not in (None, (), {})}


def scheduled_task_fields(
    *,
    parameters: Sequence[tuple[str, Any]],
    parameters_json: dict[str, Any] | None,
    labels: Sequence[tuple[str, str]],
    task_name: str | None,
    **others: Any,
) -> dict[str, Any]:
    """What the options of `takes_task` say of the task."""
    try:
        whole = (parameters_json or {}) | unique_pairs(parameters, "--parameter")
        return drop_unset(name=task_name, parameters=whole, labels=unique_pairs(labels, "--label"), **others)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def _named(function: F, *, is_required: bool) -> F:
    @click.option("--id", "schedule_id", type=click.IntRange(min=1), metavar="N", help="The schedule's number.")
    @click.argument("schedule", required=False, metavar="[N|NAME]")
    @functools.wraps(function)
    def command(*args: Any, schedule_id: int | None, schedule: str | None, **kwargs: Any) -> Any:
        if schedule_id is not None and schedule is not None:
            raise click.UsageError("Name the schedule once: with --id N, or with N or its name alone.")
        which = schedule if schedule_id is None else str(schedule_id)
        if which is None and is_required:
            raise click.UsageError("Missing option '--id', or the schedule's name.")
        return function(*args, which=which, **kwargs)

    return cast("F", command)


def _all(options: Sequence[Callable[[F], F]], function: F) -> F:
    for option in reversed(options):
        function = option(function)
    return function
