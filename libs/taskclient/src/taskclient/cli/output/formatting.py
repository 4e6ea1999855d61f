"""Formats a value as the text of a table cell."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.text import Text

from taskclient.models import Status

STATUS_COLOURS: dict[str, str] = {
    Status.RUNNING: "cyan",
    Status.RETRYING: "yellow",
    Status.SUCCEEDED: "green",
    Status.FAILED: "red",
    Status.CANCELLED: "magenta",
}


def format_cell(value: Any) -> Text:
    """Return `-` for an empty value, UTC for a time, JSON for an object. Control characters are escaped."""
    return Text(escape_control(_text(value)))


def format_status(status: str | None) -> Text:
    return Text(format_cell(status).plain, style=STATUS_COLOURS.get(status or "", ""))


def escape_control(text: str) -> str:
    """Escape control characters except line breaks, so that no task's text can control the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def first_line(text: str | None) -> str | None:
    return text.strip().partition("\n")[0] if text else None


def _text(value: Any) -> str:
    if value in (None, "", [], {}):
        return "-"
    match value:
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        case list() if all(isinstance(part, str) for part in value):
            return ", ".join(value)
        case dict() | list():
            return msgspec.json.encode(value).decode()
    return str(value)
