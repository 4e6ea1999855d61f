"""Lists that the server sends in one piece."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Items(msgspec.Struct, Generic[T], frozen=True):
    """All items of a list."""

    items: list[T]
