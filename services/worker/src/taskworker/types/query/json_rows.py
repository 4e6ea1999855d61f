r"""Converts PostgreSQL rows to JSON: booleans, numbers and JSON as such, every other type as text.

The text is PostgreSQL's: `numeric` keeps all its digits, `bytea` is `\x` and hexadecimal, intervals (`P1DT2H`), dates
and timestamps (`2026-01-31T12:00:00+00:00`) are ISO 8601. Arrays are lists of such values. JSON that is nested too deep
for a result is text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.adapt import Buffer, Loader

from taskcore.domain.documents import MAX_DEPTH, MAX_INTEGER, MIN_INTEGER

SESSION_SETTINGS = {"DateStyle": "ISO", "IntervalStyle": "iso_8601", "bytea_output": "hex"}
JSON_NATIVE_TYPES = frozenset({"bool", "int2", "int4", "int8", "oid", "float4", "float8"})
JSON_TYPES = frozenset({"json", "jsonb"})
TIMESTAMP_TYPES = frozenset({"timestamp", "timestamptz"})
TIMESTAMP = re.compile(r"(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(?:([+-]\d\d)(:\d\d)?)?")
ANY_OTHER_TYPE = 0
#: How deep a value may be nested: a result has other levels around it, and arrays have up to six dimensions.
MAX_NESTING = MAX_DEPTH - 12
MAX_INTEGER_DIGITS = 20


class TextLoader(Loader):
    def load(self, data: Buffer) -> str:
        """Return the text, which PostgreSQL has converted to UTF-8."""
        return bytes(data).decode()


class JsonLoader(TextLoader):
    def load(self, data: Buffer) -> Any:
        """Return the value, or its text if it is nested too deep. Integers of many digits are text."""
        text = super().load(data)
        try:
            value = json.loads(text, parse_int=_parse_integer)
        except RecursionError:
            return text
        return value if _is_nested_up_to(MAX_NESTING, value) else text


class TimestampLoader(TextLoader):
    def load(self, data: Buffer) -> str:
        """Return ISO 8601. `infinity` and years BC stay as PostgreSQL writes them."""
        text = super().load(data)
        match = TIMESTAMP.fullmatch(text)
        if not match:
            return text
        day, time, hours, minutes = match.groups()
        return f"{day}T{time}{hours}{minutes or ':00'}" if hours else f"{day}T{time}"


def register_loaders(connection: Connection[Any]) -> None:
    """Make `connection` load values as described above. It must have the settings in `SESSION_SETTINGS`."""
    connection.adapters.register_loader(ANY_OTHER_TYPE, TextLoader)
    for info in connection.adapters.types:
        if info.name not in JSON_NATIVE_TYPES:
            connection.adapters.register_loader(info.oid, _loader(info.name))


def _loader(type_name: str) -> type[Loader]:
    if type_name in JSON_TYPES:
        return JsonLoader
    return TimestampLoader if type_name in TIMESTAMP_TYPES else TextLoader


class RowBuffer:
    """Rows up to a maximum number and a maximum size of their JSON text."""

    def __init__(self, max_rows: int, max_chars: int) -> None:
        self.rows: list[list[Any]] = []
        self.truncated = False
        self._max_rows = max_rows
        self._chars_left = max_chars

    def add(self, row: Sequence[Any] | None) -> None:
        """Keep `row`, or mark the rows as truncated if it is None. After that, no row is kept."""
        if row is None or self.truncated or len(self.rows) >= self._max_rows:
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


def _parse_integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else digits


def _is_nested_up_to(depth: int, value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth >= 0 and all(_is_nested_up_to(depth - 1, item) for item in items)
