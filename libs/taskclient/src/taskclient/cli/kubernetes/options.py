"""What the commands about Kubernetes events and alerts share: their options, and printing what is followed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Concatenate, ParamSpec, TypeVar

import click
import msgspec

from taskclient.cli.kubernetes.views import alert_line, event_line, gap_line
from taskclient.cli.output.formatting import escape_control
from taskclient.cli.output.writer import OutputFormat, to_yaml, write
from taskclient.cli.session import Session
from taskclient.kubernetes.calls import ObjectFilter
from taskclient.kubernetes.models import Alert, EventGap, KubernetesEvent

P = ParamSpec("P")
T = TypeVar("T")
StreamItem = KubernetesEvent | EventGap | Alert

PAGE_SIZE = 30

_ABOUT = ("cluster", "namespace", "kind", "name", "reason")


def takes_object_filter(function: Callable[Concatenate[ObjectFilter, P], T]) -> Callable[P, T]:
    """Give a command `--cluster`, `--namespace`, `--kind`, `--name` and `--reason`. Its function gets them first."""

    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> T:
        return function(ObjectFilter(**{name: kwargs.pop(name) for name in _ABOUT}), *args, **kwargs)  # type: ignore[arg-type]

    for name in reversed(_ABOUT):
        text = f"Only of this {name}. Repeatable: any of them."
        command = click.option(f"--{name}", name, multiple=True, metavar="TEXT", help=text)(command)
    return command


def takes_follow(what: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Give a command `--follow` and `--timeout`."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        timeout = click.option(
            "--timeout",
            type=click.FloatRange(min=0, max=10**9),
            metavar="SECONDS",
            help="How long to follow; without it, until interrupted.",
        )
        follow = click.option("-f", "--follow", "is_followed", is_flag=True, help=f"Go on with {what}, a line each.")
        return follow(timeout(function))

    return decorate


def follow_timeout(timeout: float | None, is_followed: bool) -> timedelta | None:
    if timeout is not None and not is_followed:
        raise click.UsageError("--timeout goes with --follow.")
    return None if timeout is None else timedelta(seconds=timeout)


def print_stream(session: Session, told: Generator[StreamItem, None, T]) -> T | None:
    """Print each as it comes: with -o json a document a line. Answers what `told` returns; None: nobody reads on."""
    while True:
        try:
            one = next(told)
        except StopIteration as over:
            end: T = over.value
            return end
        if not write(_as(session.output, one)):
            return None


def _as(form: OutputFormat, one: StreamItem) -> bytes:
    match form:
        case OutputFormat.JSON:
            return msgspec.json.encode(_members(one)) + b"\n"
        case OutputFormat.YAML:
            return to_yaml([_members(one)])
        case OutputFormat.TABLE:
            return (escape_control(_line(one)) + "\n").encode()


def _members(one: StreamItem) -> dict[str, object]:
    """A gap's own `kind` is what it is; of the others it is the object's."""
    told = {KubernetesEvent: "event", EventGap: "gap", Alert: "alert"}[type(one)]
    return {"told": told, **msgspec.structs.asdict(one)}


def _line(one: StreamItem) -> str:
    match one:
        case KubernetesEvent():
            return event_line(one)
        case EventGap():
            return gap_line(one)
        case Alert():
            return alert_line(one)
