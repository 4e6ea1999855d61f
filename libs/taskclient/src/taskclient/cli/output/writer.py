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


class OutputFailed(Exception):
    """The output could not be written."""


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
            write(render_text(view(value)).encode(_encoding(), "replace"))


def to_yaml(value: Any) -> bytes:
    builtins = msgspec.to_builtins(value, str_keys=True)
    return yaml.dump(builtins, Dumper=_YamlDumper, sort_keys=False, allow_unicode=True, width=120).encode()


def render_text(renderable: RenderableType) -> str:
    """Return the text, as wide as the terminal, or as wide as needed when standard output is no terminal."""
    console = Console(
        file=sys.stdout,
        width=None if sys.stdout and sys.stdout.isatty() else UNBOUNDED_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )
    with console.capture() as capture:
        console.print(renderable)
    return "".join(line.rstrip() + "\n" for line in capture.get().splitlines())


def write(data: bytes) -> bool:
    """Write and flush. Return False if the reader has closed the pipe, as `head` does: later writes are discarded.

    Raises:
        OutputFailed: if there is no standard output, or no room for it.
    """
    if sys.stdout is None:
        raise OutputFailed("standard output is closed")
    try:
        click.echo(data, nl=False)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return False
    except OSError as error:
        discard_output()
        raise OutputFailed(f"cannot write the output: {error.strerror}") from error
    return True


def discard_output() -> None:
    """Discard what standard output has in its buffer, which Python would write again at its exit, and what follows."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _encoding() -> str:
    return (sys.stdout and sys.stdout.encoding) or "utf-8"


class _YamlDumper(yaml.SafeDumper):
    """Quotes a text with a NEL character, which PyYAML writes as it is and reads as a space."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "\x85" in text else None)


_YamlDumper.add_representer(str, _represent_text)
