"""Lists, and pages of lists."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
C = TypeVar("C")


class Items(msgspec.Struct, Generic[T], frozen=True):
    """All items of a list."""

    items: list[T]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page, ordered by id. `next_after` is None on the last page."""

    items: list[T]
    next_after: int | None


class GrowingPage(msgspec.Struct, Generic[T, C], frozen=True):
    """A page, oldest first. Pass `next_after` as `after` to continue. It is None while there are no items."""

    items: list[T]
    next_after: C | None
    has_more: bool
