"""Parsers of command line values. Each function raises ValueError with a message for the user."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
DELAY = re.compile(r"\+(\d+(?:\.\d+)?)([smhd])")
AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def parse_pair(text: str) -> tuple[str, str]:
    """Parse `key=value`. The value may be empty, and may contain equals signs."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError(f"{text!r} is not of the form key=value")
    return key, value


def parse_parameter(text: str) -> tuple[str, Any]:
    """Parse `key=value`, where the value is JSON (`5`, `true`, `["a"]`, `"5"`) or else plain text."""
    key, value = parse_pair(text)
    return key, parse_value(value)


def parse_value(text: str) -> Any:
    """Return the value if `text` is JSON, otherwise `text` itself."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def parse_object(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not a JSON object: {error}") from error


def parse_time(text: str, now: datetime) -> datetime:
    """Parse ISO 8601 with a time zone, or a delay from `now`: `+30s`, `+5m`, `+2h`, `+1d`."""
    if match := DELAY.fullmatch(text):
        return _later(now, float(match[1]), UNITS[match[2]], text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is neither ISO 8601 nor a delay such as +30s, +5m, +2h or +1d") from error
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: add Z for UTC, or an offset such as +02:00")
    return moment


def parse_run_at(text: str) -> datetime:
    """Parse as `parse_time` does, relative to this machine's clock."""
    return parse_time(text, datetime.now(UTC))


def parse_since(text: str) -> datetime:
    """Parse ISO 8601 with a time zone, or a duration before now by this machine's clock: `30s`, `5m`, `2h`, `7d`."""
    now = datetime.now(UTC)
    if match := AGO.fullmatch(text):
        return _later(now, -float(match[1]), UNITS[match[2]], text)
    try:
        return parse_time(text, now)
    except ValueError as error:
        reason = str(error).replace("a delay such as +30s, +5m, +2h or +1d", "how long ago, such as 30s, 5m, 2h or 7d")
        raise ValueError(reason) from error


def parse_duration(text: str) -> int:
    """Parse `90s`, `30m`, `1.5h` or `7d` into whole seconds, at least one."""
    match = AGO.fullmatch(text)
    seconds = timedelta(**{UNITS[match[2]]: float(match[1])}).total_seconds() if match and len(text) < 12 else 0.0
    if seconds < 1 or seconds != int(seconds):
        raise ValueError(f"{text!r} is not a number of whole seconds such as 90s, 30m, 1h or 7d")
    return int(seconds)


def unique_pairs(pairs: Iterable[tuple[str, T]], option: str) -> dict[str, T]:
    """Return the pairs as a dictionary. Refuse a repeated key, since one of its values would be lost."""
    found: dict[str, T] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{option} {key} was given twice")
        found[key] = value
    return found


def _later(now: datetime, amount: float, unit: str, text: str) -> datetime:
    try:
        return now + timedelta(**{unit: amount})
    except OverflowError as error:
        raise ValueError(f"{text!r} is out of range") from error
