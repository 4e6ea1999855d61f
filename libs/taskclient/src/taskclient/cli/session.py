"""What every command is given: where the server is, and in which form to answer."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rich.console import Console, RenderableType

from taskclient.cli.output.writer import OutputFormat, show
from taskclient.client import DEFAULT_ADDRESS, Client
from taskclient.users import login_name

T = TypeVar("T")


@dataclass
class Session:
    """Filled in by the shared options, left to right: one given after the command wins over one given before it."""

    address: str = DEFAULT_ADDRESS
    output: OutputFormat = OutputFormat.TABLE
    log_level: str | None = None
    user: str | None = None

    def client(self) -> Client:
        return Client(self.address, user=self.user or login_name())

    def show(self, value: T, view: Callable[[T], RenderableType]) -> None:
        show(value, self.output, view)

    def console(self) -> Console:
        """For progress and remarks, which go to stderr, so that stdout holds the answer and nothing else."""
        return Console(file=sys.stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def configure_logging(self) -> None:
        level = (self.log_level or "warning").upper()
        logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s %(name)s %(message)s", force=True)
