"""Writes a value to standard output as a table, or as one whole JSON or YAML document in UTF-8."""

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

UNBOUNDED_WIDTH = 10_000  # for a table that another program reads: one line per row, nothing cut off


class OutputFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def show(value: T, form: OutputFormat, view: Callable[[T], RenderableType]) -> None:
    """Print `value`. `view` renders it for `OutputFormat.TABLE`."""
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


def render_text(renderable: RenderableType) -> str:
    """Return the text, as wide as the terminal, or as wide as needed when standard output is no terminal."""
    console = Console(
        file=sys.stdout,
        width=None if sys.stdout.isatty() else UNBOUNDED_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )
    with console.capture() as capture:
        console.print(renderable)
    return "".join(line.rstrip() + "\n" for line in capture.get().splitlines())


def write(data: bytes) -> bool:
    """Write and flush. Return False if the reader has closed the pipe, as `head` does: later writes are discarded."""
    try:
        click.echo(data, nl=False)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
