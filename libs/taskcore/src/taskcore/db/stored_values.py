"""Values of enums that come from the database, where a newer version may have written some that this one lacks."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

Member = TypeVar("Member", bound=StrEnum)


def stored(kind: type[Member], text: str) -> Member:
    """Return the member of `kind` with this text. One that this version does not know keeps its text.

    It is in no set of known members, so no rule applies to it: a task with an unknown status is not finished, and no
    action is available on it.
    """
    try:
        return kind(text)
    except ValueError:
        unknown = str.__new__(kind, text)
        unknown._name_, unknown._value_ = text.upper(), text
        return unknown
