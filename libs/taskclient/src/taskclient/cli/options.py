"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import click

from taskclient.cli.output.writer import OutputFormat
from taskclient.cli.session import Session
from taskclient.client import DEFAULT_ADDRESS
from taskclient.connection import parse_address
from taskclient.users import parse_user

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")

LOG_LEVELS = ("debug", "info", "warning", "error")


class ParsedOption(click.ParamType[T], Generic[T]):
    """A parameter type whose values `parse` reads. The text of its ValueError is the error message."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Seconds(click.FloatRange):
    """A number of seconds, converted to a timedelta."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return timedelta(seconds=super().convert(value, param, ctx))


def combine(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return a decorator that gives a command these options. Its help shows them in this order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def shared_options(address_variable: str | None = None, user_variable: str | None = None) -> list[click.Parameter]:
    """Return the options of every command, which fill in the Session.

    Only the root command names environment variables, so that they never override an option given before a command.
    """
    return [
        _session_option(
            "--address",
            metavar="URL",
            type=ParsedOption("url", parse_address),
            envvar=address_variable,
            help=f"The server's address. [default: TASKCORE_ADDRESS, or {DEFAULT_ADDRESS}]",
        ),
        _session_option(
            "-o",
            "--output",
            type=click.Choice([form.value for form in OutputFormat]),
            help="Output format. [default: table]",
        ),
        _session_option(
            "--user",
            metavar="NAME",
            type=ParsedOption("name", parse_user),
            envvar=user_variable,
            help="User name to record in the history. [default: TASKCORE_USER, or your login name]",
        ),
        _session_option(
            "--log-level",
            type=click.Choice(LOG_LEVELS, case_sensitive=False),
            help="Lowest level to log on stderr. [default: warning]",
        ),
    ]


def takes_task_id(function: Callable[Concatenate[int, P], T]) -> Callable[P, T]:
    """Give a command `--id N`, or N as an argument. Its function gets the number as first argument."""

    @click.option("--id", "task_id", type=click.IntRange(min=1), metavar="N", help="The task's id.")
    @click.argument("number", type=click.IntRange(min=1), required=False, metavar="[N]")
    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> T:
        by_option, by_argument = kwargs.pop("task_id"), kwargs.pop("number")
        if by_option is not None and by_argument is not None:
            raise click.UsageError("Give the task's id once: as --id N or as N.")
        task_id = by_option if by_option is not None else by_argument
        if not isinstance(task_id, int):
            raise click.UsageError("Missing option '--id'.")
        return function(task_id, *args, **kwargs)

    return command


def takes_timeout(function: F, name: str = "--timeout", flag: str | None = None) -> F:
    """Give a command `--timeout SECONDS`, which its function gets as a timedelta or None.

    If it requires a `flag`, that has to be an eager option.
    """

    def check(context: click.Context, _: click.Parameter, value: timedelta | None) -> timedelta | None:
        if value is not None and flag is not None and not context.params[flag]:
            raise click.UsageError(f"{name} requires --{flag}.")
        return value

    return click.option(
        name,
        type=Seconds(min=0, max=10**9),
        callback=check,
        metavar="SECONDS",
        help="Maximum time to wait. [default: no limit]",
    )(function)


def takes_wait(function: F) -> F:
    """Give a command `--wait` and `--wait-timeout`, which requires it."""
    text = "Wait until the task has finished; exit with 3 unless it succeeded."
    flag = click.option("--wait", is_flag=True, is_eager=True, help=text)
    return flag(takes_timeout(function, "--wait-timeout", flag="wait"))


def takes_follow(what: str) -> Callable[[F], F]:
    """Give a command `--follow` and `--timeout`, which requires it."""
    flag = click.option("-f", "--follow", is_flag=True, is_eager=True, help=f"Print {what}, one per line.")
    return combine(flag, functools.partial(takes_timeout, flag="follow"))


def _session_option(*names: str, **attributes: Any) -> click.Parameter:
    return click.Option(names, expose_value=False, callback=_remember, **attributes)


def _remember(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is None or option.name is None:
        return
    setattr(context.ensure_object(Session), option.name, OutputFormat(value) if option.name == "output" else value)
