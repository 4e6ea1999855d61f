"""The shared options of a command, and what follows from them: the client, the output, logging."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from rich.console import Console, RenderableType

from taskclient.cli.output.views import Columns, fields_view, list_view
from taskclient.cli.output.writer import OutputFormat, show
from taskclient.client import DEFAULT_ADDRESS, Client
from taskclient.users import login_name

T = TypeVar("T")


@dataclass
class Session:
    """Filled in by the shared options from left to right: one after the command overrides one before it."""

    address: str = DEFAULT_ADDRESS
    output: OutputFormat = OutputFormat.TABLE
    log_level: str | None = None
    user: str | None = None

    def client(self) -> Client:
        return Client(self.address, user=self.user or login_name())

    def show(self, value: T, view: Callable[[T], RenderableType]) -> None:
        show(value, self.output, view)

    def show_fields(self, record: msgspec.Struct) -> None:
        self.show(record, fields_view)

    def show_list(self, items: Sequence[T], columns: Columns[T]) -> None:
        """Print the items and their number."""
        self.show({"items": items, "total": len(items)}, lambda _: list_view(items, columns))

    def console(self) -> Console:
        """Return a console on stderr for progress messages, so that stdout holds nothing but the result."""
        return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def configure_logging(self) -> None:
        level = (self.log_level or "warning").upper()
        logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s %(name)s %(message)s", force=True)
