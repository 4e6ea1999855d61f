"""Prints records as they arrive: one line each, one JSON document per line, or one YAML item each."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from taskclient.cli.output.formatting import escape_control
from taskclient.cli.output.writer import OutputFormat, to_yaml, write

S = TypeVar("S", bound=msgspec.Struct)
R = TypeVar("R")


@dataclass(frozen=True)
class StreamPrinter(Generic[S]):
    """`names` is what documents call a record of each class; `to_line` makes the line for a person."""

    names: dict[type[S], str]
    to_line: Callable[[S], str]

    def print(self, records: Generator[S, None, R], output: OutputFormat) -> R | None:
        """Print each record as it arrives. Return what `records` returns, or None if the reader closed the output."""
        while True:
            try:
                record = next(records)
            except StopIteration as stop:
                result: R = stop.value
                return result
            if not write(self._encode(record, output)):
                return None

    def _encode(self, record: S, output: OutputFormat) -> bytes:
        if output is OutputFormat.TABLE:
            return (escape_control(self.to_line(record)) + "\n").encode()
        document = {"record": self.names[type(record)], **msgspec.structs.asdict(record)}
        return to_yaml([document]) if output is OutputFormat.YAML else msgspec.json.encode(document) + b"\n"
