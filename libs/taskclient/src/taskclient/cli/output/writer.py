"""What goes to stdout: a value as a table, as JSON or as YAML. JSON and YAML are whole, valid UTF-8 documents."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

import click
import msgspec
import yaml
from rich.console import Console, RenderableType

T = TypeVar("T")

UNBOUNDED_WIDTH = 10_000  # for a table that goes to a program: a line a row, nothing cut off


class OutputFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def show(value: T, form: OutputFormat, view: Callable[[T], RenderableType]) -> None:
    """Print `value` on stdout; `view` makes what a person reads of it."""
    match form:
        case OutputFormat.JSON:
            write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
        case OutputFormat.YAML:
            write(to_yaml(value))
        case OutputFormat.TABLE:
            write(render_text(view(value)).encode(sys.stdout.encoding or "utf-8", "replace"))


def to_yaml(value: Any) -> bytes:
    text = yaml.safe_dump(msgspec.to_builtins(value, str_keys=True), sort_keys=False, allow_unicode=True, width=120)
    return text.encode()


def render_text(what: RenderableType) -> str:
    """As wide as the terminal; as wide as it needs to be where there is none."""
    console = Console(
        file=sys.stdout,
        width=None if sys.stdout.isatty() else UNBOUNDED_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )
    with console.capture() as capture:
        console.print(what)
    return "".join(line.rstrip() + "\n" for line in capture.get().splitlines())


def write(data: bytes) -> bool:
    """Write it out at once. A reader who has gone, as `head` does, is no error: what follows goes nowhere.

    Answers whether the reader was there.
    """
    try:
        click.echo(data, nl=False)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
