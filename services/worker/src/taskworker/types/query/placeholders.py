"""Converts the placeholders `%s` and `%(name)s` to PostgreSQL's `$1`: the statement that is checked is the one run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Scalar = str | int | float | bool | None
Arguments = Sequence[Scalar] | Mapping[str, Scalar] | None

PLACEHOLDER = re.compile(r"%(?:\((?P<name>[^)]+)\)s|(?P<sign>[\s\S]?))")


def number_placeholders(query: str, arguments: Arguments) -> tuple[str, tuple[Scalar, ...] | None]:
    """Return `query` with numbered placeholders, and the arguments in order. Without arguments it is unchanged.

    Raises:
        ValueError: if placeholders and arguments do not match.
    """
    if arguments is None:
        return query, None
    if isinstance(arguments, Mapping):
        return _number_named(query, arguments)
    return _number_positional(query, arguments)


def _number_named(query: str, arguments: Mapping[str, Scalar]) -> tuple[str, tuple[Scalar, ...]]:
    used: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        if match["sign"] == "%":
            return "%"
        name = match["name"]
        if name is None:
            raise ValueError(f"{match[0]!r}: with named arguments, write %(name)s, and %% for a percent sign")
        if name not in arguments:
            raise ValueError(f"there is no argument {name!r}")
        return f"${used.setdefault(name, len(used) + 1)}"

    return PLACEHOLDER.sub(number, query), tuple(arguments[name] for name in used)


def _number_positional(query: str, arguments: Sequence[Scalar]) -> tuple[str, tuple[Scalar, ...]]:
    count = 0

    def number(match: re.Match[str]) -> str:
        nonlocal count
        if match["sign"] == "%":
            return "%"
        if match["sign"] != "s":
            raise ValueError(f"{match[0]!r}: with a list of arguments, write %s, and %% for a percent sign")
        count += 1
        return f"${count}"

    numbered = PLACEHOLDER.sub(number, query)
    if count != len(arguments):
        raise ValueError(f"{count} placeholders but {len(arguments)} arguments")
    return numbered, tuple(arguments)
