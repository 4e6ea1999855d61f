"""The bounded buffer between reading and storing: readers wait while it is full, so memory does not grow."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from collector_k8s.events.buffer_item import BufferItem
from taskcore.errors import TaskcoreError

POLL_S = 0.2

Put = Callable[[BufferItem], None]


class Stopped(TaskcoreError):
    """The collector stops, so nothing takes items from the buffer any more."""


class EventBuffer:
    """A queue for any number of readers and one writer, until `stopped` is set."""

    def __init__(self, capacity: int, stopped: threading.Event) -> None:
        self._queue: queue.Queue[BufferItem] = queue.Queue(capacity)
        self._stopped = stopped

    def put(self, item: BufferItem) -> None:
        """Add an item, waiting for room. Raises `Stopped`."""
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=POLL_S)
                return
            except queue.Full:
                continue
        raise Stopped

    def take(self, limit: int) -> list[BufferItem]:
        """Return up to `limit` items in their order, after a short wait for the first one."""
        items: list[BufferItem] = []
        try:
            items.append(self._queue.get(timeout=POLL_S))
            while len(items) < limit:
                items.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return items
