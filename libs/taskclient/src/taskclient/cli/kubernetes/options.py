"""Options of the commands about Kubernetes events and alerts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate

import click

from taskclient.cli.options import P, T, combine
from taskclient.kubernetes.calls import ObjectFilter

PAGE_SIZE = 30

_FIELDS = ("cluster", "namespace", "kind", "name", "reason")


def takes_object_filter(function: Callable[Concatenate[ObjectFilter, P], T]) -> Callable[P, T]:
    """Give a command one option per field of an ObjectFilter. Its function gets the filter as first argument."""

    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> T:
        return function(ObjectFilter(**{name: kwargs.pop(name) for name in _FIELDS}), *args, **kwargs)  # type: ignore[arg-type]

    text = "Only this {}. Repeatable: any of them."
    options = (click.option(f"--{n}", multiple=True, metavar="TEXT", help=text.format(n)) for n in _FIELDS)
    return combine(*options)(command)


def _refuse_to_follow(context: click.Context, _: click.Parameter, before: str | None) -> str | None:
    if before is not None and context.params["follow"]:
        raise click.UsageError("--before cannot be combined with --follow.")
    return before


#: Gives a command `--limit`, and `--before`, which excludes `--follow`.
takes_page = combine(
    click.option(
        "--limit", type=click.IntRange(1, 1_000), default=PAGE_SIZE, show_default=True, metavar="N", help="Page size."
    ),
    click.option(
        "--before",
        callback=_refuse_to_follow,
        metavar="CURSOR",
        help="Next page: the value in the last line of a page.",
    ),
)
