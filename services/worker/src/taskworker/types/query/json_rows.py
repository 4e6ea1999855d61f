r"""Converts PostgreSQL rows to JSON: booleans, numbers and JSON as such, every other type as text.

The text is PostgreSQL's: `numeric` keeps all its digits, `bytea` is `\x` and hexadecimal, intervals (`P1DT2H`), dates
and timestamps (`2026-01-31T12:00:00+00:00`) are ISO 8601. Arrays are lists of such values.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.adapt import Buffer, Loader
from psycopg.types.string import TextLoader

from taskcore.domain.documents import MAX_INTEGER, MIN_INTEGER

SESSION_SETTINGS = {"DateStyle": "ISO", "IntervalStyle": "iso_8601", "bytea_output": "hex"}
JSON_NATIVE_TYPES = frozenset({"bool", "int2", "int4", "int8", "oid", "float4", "float8", "json", "jsonb"})
TIMESTAMP_TYPES = frozenset({"timestamp", "timestamptz"})
TIMESTAMP = re.compile(r"(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(?:([+-]\d\d)(:\d\d)?)?")


class TimestampLoader(Loader):
    def load(self, data: Buffer) -> str:
        """Return ISO 8601. `infinity` and years BC stay as PostgreSQL writes them."""
        text = bytes(data).decode()
        match = TIMESTAMP.fullmatch(text)
        if not match:
            return text
        day, time, hours, minutes = match.groups()
        return f"{day}T{time}{hours}{minutes or ':00'}" if hours else f"{day}T{time}"


def register_loaders(connection: Connection[Any]) -> None:
    """Make `connection` load values as described above. It must have the settings in `SESSION_SETTINGS`."""
    for info in connection.adapters.types:
        if info.name not in JSON_NATIVE_TYPES:
            loader = TimestampLoader if info.name in TIMESTAMP_TYPES else TextLoader
            connection.adapters.register_loader(info.oid, loader)


class RowBuffer:
    """Rows up to a maximum number and a maximum size of their JSON text."""

    def __init__(self, max_rows: int, max_chars: int) -> None:
        self.rows: list[list[Any]] = []
        self.truncated = False
        self._max_rows = max_rows
        self._chars_left = max_chars

    def add(self, row: Sequence[Any]) -> None:
        """Keep `row`, or mark the rows as truncated. After that, no row is kept."""
        if self.truncated or len(self.rows) >= self._max_rows:
            self.truncated = True
            return
        values = [to_json_value(value) for value in row]
        self._chars_left -= len(json.dumps(values, ensure_ascii=False))
        if self._chars_left < 0:
            self.truncated = True
        else:
            self.rows.append(values)


def to_json_value(value: Any) -> Any:
    """Return `value` with numbers that JSON lacks, or that JSON readers may misread, as text."""
    if isinstance(value, list):
        return [to_json_value(item) for item in value]
    if isinstance(value, dict):
        return {key: to_json_value(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    if isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
        return str(value)
    return value
