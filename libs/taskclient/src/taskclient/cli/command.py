"""Commands as `task-cli` has them: with aliases that the help shows, and the shared options on each."""

from __future__ import annotations

from typing import Any, TypeVar

import click

T_co = TypeVar("T_co", covariant=True)

LOG_LEVELS = ("debug", "info", "warning", "error")


class Parsed(click.ParamType[Any]):
    """An argument read by a function from `taskclient.values`."""

    def __init__(self, name: str, parse: Any) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
