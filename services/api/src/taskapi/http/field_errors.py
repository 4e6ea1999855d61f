"""Name the invalid part of a request: `tasks[3].parameters.to`."""

from __future__ import annotations

import re

import msgspec

from taskapi.schemas.problems import FieldError

MAX_PART = 100
MAX_MESSAGE = 500

Path = tuple[str | int, ...]

_MEMBER = re.compile(r"Object (?:missing required|contains unknown) field `(.*)`", re.DOTALL)


def as_field(path: Path) -> str:
    """Return `("tasks", 3, "name")` as `tasks[3].name`. Long names are cut, lone surrogates are replaced."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:MAX_PART]}" for part in path)
    return text.removeprefix(".").encode("utf-8", "replace").decode()


def field_error(path: Path, message: str) -> FieldError:
    return FieldError(as_field(path) or "body", message[:MAX_MESSAGE])


def field_error_of(error: msgspec.ValidationError, prefix: Path = ()) -> FieldError:
    """Return msgspec's `error` with the path of its field, including a missing or unknown member."""
    message, _, place = str(error).rpartition(" - at ") if " - at `" in str(error) else (str(error), "", "")
    path = re.findall(r"[^.\[\]]+|\[\d+\]", place.rpartition("`$")[2].strip("`").replace("[...]", ""))
    parts = [int(part[1:-1]) if part.startswith("[") else part for part in path]
    if (member := _MEMBER.fullmatch(message)) is not None:
        parts.append(member[1])
    return field_error((*prefix, *parts), message)
