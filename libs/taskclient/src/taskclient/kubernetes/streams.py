"""Follow Kubernetes events and alerts page by page: each exactly once, whatever is stored meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timedelta
from typing import TypeVar

from taskclient.client import Client
from taskclient.kubernetes.calls import ALL_OBJECTS, ObjectFilter
from taskclient.kubernetes.models import Alert, EventGap, EventPage, KubernetesEvent
from taskclient.models import Task

PAGE_SIZE = 1_000
POLL_INTERVAL_S = 1.0

T = TypeVar("T")


class EventStream:
    """Events and gaps. The first read returns the newest `count`, later ones what was stored since."""

    def __init__(
        self,
        client: Client,
        objects: ObjectFilter = ALL_OBJECTS,
        *,
        type: tuple[str, ...] = (),
        since: datetime | None = None,
        search: str | None = None,
        count: int = 100,
    ) -> None:
        self._client = client
        self._objects = objects
        self._type = type
        self._since = since
        self._search = search
        self._count = count
        self._after: str | None = None

    def read_new(self) -> Iterator[KubernetesEvent | EventGap]:
        """Yield new events and gaps: on the first call ordered by time, later in the order of storing."""
        if self._after is None:
            page = self._page(self._count)
            first: list[KubernetesEvent | EventGap] = [*page.items, *page.gaps]
            yield from sorted(first, key=occurred_at)
            return
        has_more = True
        while has_more:
            page = self._page(PAGE_SIZE)
            has_more = page.has_more
            yield from page.gaps
            yield from page.items

    def _page(self, limit: int) -> EventPage:
        page = self._client.events(
            self._objects, type=self._type, since=self._since, search=self._search, limit=limit, after=self._after
        )
        self._after = page.next_after
        return page


class AlertStream:
    """Alerts. The first read returns the latest `count` with this `status`, later ones those that opened since."""

    def __init__(
        self, client: Client, objects: ObjectFilter = ALL_OBJECTS, *, status: str = "open", count: int = 100
    ) -> None:
        self._client = client
        self._objects = objects
        self._status = status
        self._count = count
        self._after: str | None = None

    def read_new(self) -> Iterator[Alert]:
        """Yield new alerts in the order of opening, including those that have been resolved meanwhile."""
        if self._after is None:
            page = self._client.alerts(self._objects, status=self._status, limit=self._count)
            self._after = page.next_after
            yield from reversed(page.items)
            return
        has_more = True
        while has_more:
            page = self._client.alerts(self._objects, status="all", limit=PAGE_SIZE, after=self._after)
            self._after, has_more = page.next_after, page.has_more
            yield from page.items


class TaskEventStream:
    """The events about a task's pods, each version at most once."""

    def __init__(self, client: Client, task_id: int) -> None:
        self._client = client
        self._task_id = task_id
        self._after: int | None = None

    def read_new(self, task: Task | None = None) -> Iterator[KubernetesEvent]:
        """Yield new events in the order of their arrival."""
        has_more = True
        while has_more:
            page = self._client.task_events(self._task_id, after=self._after, limit=PAGE_SIZE)
            self._after, has_more = page.next_after, page.has_more
            yield from page.items


def poll(
    read: Callable[[], Iterator[T]],
    timeout: timedelta | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[T, None, None]:
    """Yield what `read` returns, again and again, until `timeout` has passed or forever."""
    until = float("inf") if timeout is None else clock() + timeout.total_seconds()
    while True:
        yield from read()
        left_s = until - clock()
        if left_s <= 0:
            return
        sleep(min(POLL_INTERVAL_S, left_s))


def occurred_at(one: KubernetesEvent | EventGap) -> datetime:
    """Return when an event happened or a gap ended."""
    return one.until_at if isinstance(one, EventGap) else one.at
