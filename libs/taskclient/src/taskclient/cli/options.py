"""Options that more than one command has."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import click

from taskclient.cli.output.writer import OutputFormat
from taskclient.cli.session import Session
from taskclient.client import DEFAULT_ADDRESS
from taskclient.connection import parse_address
from taskclient.users import parse_user

T = TypeVar("T")
P = ParamSpec("P")

LOG_LEVELS = ("debug", "info", "warning", "error")


class ParsedOption(click.ParamType[T], Generic[T]):
    """An argument that `parse` reads; its ValueError is the message."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def shared_options(address_variable: str | None = None, user_variable: str | None = None) -> list[click.Parameter]:
    """The options of every command, which end in the Session. A variable is read where it is named only."""
    return [
        click.Option(
            ["--address"],
            metavar="URL",
            type=ParsedOption("url", parse_address),
            envvar=address_variable,
            expose_value=False,
            callback=_remember,
            help=f"Where the server is: {DEFAULT_ADDRESS} unless this or TASKCORE_ADDRESS says otherwise.",
        ),
        click.Option(
            ["-o", "--output"],
            type=click.Choice([form.value for form in OutputFormat]),
            expose_value=False,
            callback=_remember,
            help="The form of what is printed: table unless said otherwise.",
        ),
        click.Option(
            ["--user"],
            metavar="NAME",
            type=ParsedOption("name", parse_user),
            envvar=user_variable,
            expose_value=False,
            callback=_remember,
            help="Who asks, for the history: your login name unless this or TASKCORE_USER says otherwise.",
        ),
        click.Option(
            ["--log-level"],
            type=click.Choice(LOG_LEVELS, case_sensitive=False),
            expose_value=False,
            callback=_remember,
            help="What to log on stderr: warning and above unless said otherwise.",
        ),
    ]


def takes_task_id(function: Callable[Concatenate[int, P], T]) -> Callable[P, T]:
    """Give a command `--id N`, and N as an argument in its place. Its function gets the number first."""

    @click.option("--id", "task_id", type=click.IntRange(min=1), metavar="N", help="The task's number.")
    @click.argument("number", type=click.IntRange(min=1), required=False, metavar="[N]")
    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> T:
        by_option, by_place = kwargs.pop("task_id"), kwargs.pop("number")
        if by_option is not None and by_place is not None:
            raise click.UsageError("Name the task once: with --id N, or with N alone.")
        task_id = by_option if by_option is not None else by_place
        if not isinstance(task_id, int):
            raise click.UsageError("Missing option '--id'.")
        return function(task_id, *args, **kwargs)

    return command


def _remember(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is None or option.name is None:
        return
    setattr(context.ensure_object(Session), option.name, OutputFormat(value) if option.name == "output" else value)
