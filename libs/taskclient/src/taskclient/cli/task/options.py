"""Options that describe a task to submit, shared by `task create` and the commands about schedules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from taskclient.cli.options import ParsedOption, combine
from taskclient.cli.parsing import parse_object, parse_pair, parse_parameter, unique_pairs

#: Gives a command the options that `task_fields` reads.
takes_task_fields = combine(
    click.option(
        "-p",
        "--parameter",
        "parameters",
        multiple=True,
        type=ParsedOption("key=value", parse_parameter),
        help="A parameter; its value is JSON (5, true, [1, 2], '\"5\"') or else text. Repeatable.",
    ),
    click.option(
        "--parameters-json",
        type=ParsedOption("json", parse_object),
        metavar="OBJECT",
        help="All parameters as a JSON object; --parameter adds to it and overrides it.",
    ),
    click.option("--queue", metavar="Q", help="Queue. [default: the task type's]"),
    click.option("--priority", type=int, metavar="N", help="-100 to 100, higher first. [default: 0]"),
    click.option(
        "--label", "labels", multiple=True, type=ParsedOption("key=value", parse_pair), help="A label. Repeatable."
    ),
    click.option(
        "--max-attempts",
        type=click.IntRange(min=1),
        metavar="N",
        help="Maximum attempts. [default: the task type's]",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="Time limit of each attempt. [default: the task type's]",
    ),
    click.option(
        "--delete-after",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="Delete the task this long after its end. [default: as the retention settings say]",
    ),
)


def task_fields(
    *,
    parameters: Sequence[tuple[str, Any]],
    parameters_json: dict[str, Any] | None,
    labels: Sequence[tuple[str, str]],
    **others: Any,
) -> dict[str, Any]:
    """Return the fields of the task that are set by the options of `takes_task_fields`, and those of `others`."""
    try:
        merged = (parameters_json or {}) | unique_pairs(parameters, "--parameter")
        return drop_unset(parameters=merged, labels=unique_pairs(labels, "--label"), **others)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def drop_unset(**values: Any) -> dict[str, Any]:
    """Return the values that are neither None nor empty."""
    return {name: value for name, value in values.items() if value not in (None, (), {})}
