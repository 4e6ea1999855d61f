"""What was read and waits to be stored: so much, and no more, so that a reader who is too fast has to wait."""

from __future__ import annotations

import queue
import threading

from collector_k8s.store.event_store import Item
from taskcore.errors import TaskcoreError

LOOK_UP_S = 0.2


class Over(TaskcoreError):
    """Nobody stores what is read any more."""


class Buffer:
    """For any number of readers and one writer, until `over` is set."""

    def __init__(self, room: int, over: threading.Event) -> None:
        self._queue: queue.Queue[Item] = queue.Queue(room)
        self._over = over

    def put(self, item: Item) -> None:
        """Waits for room.

        Raises:
            Over
        """
        while not self._over.is_set():
            try:
                self._queue.put(item, timeout=LOOK_UP_S)
                return
            except queue.Full:
                continue
        raise Over

    def take(self, most: int) -> list[Item]:
        """What there is, in order; waits a little for the first."""
        items: list[Item] = []
        try:
            items.append(self._queue.get(timeout=LOOK_UP_S))
            while len(items) < most:
                items.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return items
