"""What was read and waits to be stored: so much, and no more, so that a reader who is too fast has to wait."""

from __future__ import annotations

import queue
import threading

from collector_k8s.store.event_store import BufferItem
from taskcore.errors import TaskcoreError

POLL_S = 0.2


class Stopped(TaskcoreError):
    """Nobody stores what is read any more."""


class EventBuffer:
    """For any number of readers and one writer, until `over` is set."""

    def __init__(self, capacity: int, stopped: threading.Event) -> None:
        self._queue: queue.Queue[BufferItem] = queue.Queue(capacity)
        self._stopped = stopped

    def put(self, item: BufferItem) -> None:
        """Waits for room.

        Raises:
            Over
        """
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=POLL_S)
                return
            except queue.Full:
                continue
        raise Stopped

    def take(self, limit: int) -> list[BufferItem]:
        """What there is, in order; waits a little for the first."""
        items: list[BufferItem] = []
        try:
            items.append(self._queue.get(timeout=POLL_S))
            while len(items) < limit:
                items.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return items
