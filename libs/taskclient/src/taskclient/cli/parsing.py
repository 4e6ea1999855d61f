"""What people write on a command line, turned into values. Every function raises ValueError with a readable reason."""

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
    """`key=value`; the value may be empty and may hold more equals signs."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError(f"{text!r} is not of the form key=value")
    return key, value


def parse_parameter(text: str) -> tuple[str, Any]:
    """`key=value`, the value as JSON where it is JSON (`5`, `true`, `["a"]`, `"5"`), as the text itself elsewhere."""
    key, value = parse_pair(text)
    return key, parse_value(value)


def parse_value(text: str) -> Any:
    """JSON where it is JSON, the text itself elsewhere."""
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
    """ISO 8601 with a time zone, or `+30s`, `+5m`, `+2h`, `+1d` from `now`."""
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
    """As `parse_moment`, from this machine's clock, in UTC."""
    return parse_time(text, datetime.now(UTC))


def parse_ago(text: str, now: datetime) -> datetime:
    """ISO 8601 with a time zone, or `30s`, `5m`, `2h`, `7d` before `now`."""
    if match := AGO.fullmatch(text):
        return _later(now, -float(match[1]), UNITS[match[2]], text)
    try:
        return parse_time(text, now)
    except ValueError as error:
        reason = str(error).replace("a delay such as +30s, +5m, +2h or +1d", "how long ago, such as 30s, 5m, 2h or 7d")
        raise ValueError(reason) from error


def parse_since(text: str) -> datetime:
    """As `parse_ago`, by this machine's clock."""
    return parse_ago(text, datetime.now(UTC))


def parse_duration(text: str) -> int:
    """`90s`, `30m`, `1.5h` or `7d` as seconds, which must be whole and at least one."""
    match = AGO.fullmatch(text)
    seconds = timedelta(**{UNITS[match[2]]: float(match[1])}).total_seconds() if match and len(text) < 12 else 0.0
    if seconds < 1 or seconds != int(seconds):
        raise ValueError(f"{text!r} is not a number of whole seconds such as 90s, 30m, 1h or 7d")
    return int(seconds)


def unique_pairs(pairs: Iterable[tuple[str, T]], option: str) -> dict[str, T]:
    """The pairs as a dictionary; a key given twice is refused, for one of the two would be lost."""
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
        raise ValueError(f"{text!r} is too far away") from error
