"""Follow Kubernetes events and alerts page by page: each exactly once, whatever is stored meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timedelta
from typing import Any, TypeVar

from taskclient.client import Client
from taskclient.kubernetes.calls import ALL_OBJECTS, ObjectFilter
from taskclient.kubernetes.models import Alert, EventGap, KubernetesEvent
from taskclient.models import GrowingPage
from taskclient.streams import PAGE_SIZE, Stream

POLL_INTERVAL_S = 1.0

T = TypeVar("T")


def event_stream(
    client: Client, objects: ObjectFilter = ALL_OBJECTS, *, count: int = 100, **filters: Any
) -> Stream[KubernetesEvent | EventGap, str]:
    """Return the events and gaps with the `filters` of `Client.events`.

    The first read yields the newest `count`, ordered by time; later ones what was stored since, in that order.
    """

    def fetch(after: str | None) -> GrowingPage[KubernetesEvent | EventGap, str]:
        if after is None:
            page = client.events(objects, limit=count, **filters)
            return GrowingPage(sorted([*page.items, *page.gaps], key=occurred_at), page.next_after, has_more=False)
        page = client.events(objects, limit=PAGE_SIZE, after=after, **filters)
        return GrowingPage([*page.gaps, *page.items], page.next_after, page.has_more)

    return Stream(fetch)


def alert_stream(
    client: Client, objects: ObjectFilter = ALL_OBJECTS, *, status: str = "open", count: int = 100
) -> Stream[Alert, str]:
    """Return alerts in the order of opening.

    The first read yields the latest `count` with this `status`; later ones those that opened since, including those
    that have been resolved meanwhile.
    """

    def fetch(after: str | None) -> GrowingPage[Alert, str]:
        if after is None:
            page = client.alerts(objects, status=status, limit=count)
            return GrowingPage(page.items[::-1], page.next_after, has_more=False)
        return client.alerts(objects, status="all", limit=PAGE_SIZE, after=after)

    return Stream(fetch)


def task_event_stream(client: Client, task_id: int) -> Stream[KubernetesEvent, int]:
    """Return the events about a task's pods in the order of their arrival, each version at most once."""
    return Stream(lambda after: client.task_events(task_id, after=after, limit=PAGE_SIZE))


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
