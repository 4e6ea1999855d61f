"""Reads a list that grows on the server, each item once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from taskclient.models import GrowingPage

PAGE_SIZE = 1_000

T = TypeVar("T")
C = TypeVar("C")


class Stream(Generic[T, C]):
    """The items of the pages that `fetch` returns. Its argument is the `next_after` of the page before, or None."""

    def __init__(self, fetch: Callable[[C | None], GrowingPage[T, C]]) -> None:
        self._fetch = fetch
        self._after: C | None = None

    def read_new(self) -> Iterator[T]:
        """Yield the items added since the last call."""
        has_more = True
        while has_more:
            page = self._fetch(self._after)
            self._after, has_more = page.next_after, page.has_more
            yield from page.items
