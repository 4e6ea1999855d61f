"""Lists that come whole."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Items(msgspec.Struct, Generic[T], frozen=True):
    """All there are of one kind."""

    items: list[T]
