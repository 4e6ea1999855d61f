"""Options of the commands about Kubernetes events and alerts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from taskclient.kubernetes.calls import ObjectFilter

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

PAGE_SIZE = 30

_FIELDS = ("cluster", "namespace", "kind", "name", "reason")


def takes_object_filter(function: Callable[Concatenate[ObjectFilter, P], T]) -> Callable[P, T]:
    """Give a command one option per field of an ObjectFilter. Its function gets the filter as first argument."""

    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> T:
        return function(ObjectFilter(**{name: kwargs.pop(name) for name in _FIELDS}), *args, **kwargs)  # type: ignore[arg-type]

    for name in reversed(_FIELDS):
        text = f"Only this {name}. Repeatable: any of them."
        command = click.option(f"--{name}", name, multiple=True, metavar="TEXT", help=text)(command)
    return command


def takes_page(function: F) -> F:
    """Give a command `--limit` and `--before`."""
    limit = click.option(
        "--limit", type=click.IntRange(1, 1_000), default=PAGE_SIZE, show_default=True, metavar="N", help="Page size."
    )
    before = click.option("--before", metavar="CURSOR", help="Next page: the value in the last line of a page.")
    return limit(before(function))


def refuse_before(before: str | None, is_following: bool) -> None:
    if before is not None and is_following:
        raise click.UsageError("--before cannot be combined with --follow.")
