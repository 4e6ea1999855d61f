"""Queues in the memory of one process, for the standalone and for tests. Losing their messages loses no task."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterable

from taskcore.messaging.messages import decode
from taskcore.messaging.transports import Delivery, ServedQueues


class MemoryQueues:
    """Thread-safe queues of messages. A queue exists while it has messages."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._messages: dict[str, deque[bytes]] = {}  # the queue whose turn it is comes first

    def put(self, queue: str, bodies: Iterable[bytes]) -> None:
        with self._changed:
            self._messages.setdefault(queue, deque()).extend(bodies)
            self._changed.notify_all()

    def put_back(self, queue: str, bodies: Iterable[bytes]) -> None:
        """Put messages at the head of their queue, the last of `bodies` first."""
        with self._changed:
            self._messages.setdefault(queue, deque()).extendleft(bodies)
            self._changed.notify_all()

    def count(self, queue: str) -> int:
        return len(self._messages.get(queue, ()))

    def take(self, queues: Collection[str], limit: int) -> list[tuple[str, bytes]]:
        """Take up to `limit` messages, one of each of `queues` in turn."""
        taken: list[tuple[str, bytes]] = []
        with self._changed:
            while len(taken) < limit and (queue := next((each for each in self._messages if each in queues), None)):
                messages = self._messages.pop(queue)
                taken.append((queue, messages.popleft()))
                if messages:
                    self._messages[queue] = messages
        return taken

    def wait(self, queues: Collection[str], woken: threading.Event, timeout_s: float) -> None:
        """Wait until one of `queues` has a message, until `woken` is set and `notify` was called, or for that long."""
        with self._changed:
            self._changed.wait_for(lambda: woken.is_set() or any(each in queues for each in self._messages), timeout_s)

    def notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


class MemoryTransport:
    """One of any number of consumers of the same queues."""

    def __init__(self, queues: MemoryQueues, served: ServedQueues) -> None:
        self._queues = queues
        self._served = served
        self._tag = 0
        self._bodies: dict[int, tuple[str, bytes]] = {}
        self._woken = threading.Event()
        served.notify(self.wake)

    def receive(self, limit: int, timeout_s: float) -> list[Delivery]:
        if not (taken := self._queues.take(self._served.names, limit)) and timeout_s > 0:
            self._queues.wait(self._served.names, self._woken, timeout_s)
            self._woken.clear()
            taken = self._queues.take(self._served.names, limit)
        return [self._deliver(queue, body) for queue, body in taken]

    def acknowledge(self, deliveries: list[Delivery], *, multiple: bool) -> None:
        for delivery in deliveries:
            self._bodies.pop(delivery.tag, None)

    def requeue(self, deliveries: list[Delivery]) -> None:
        for delivery in reversed(deliveries):
            if (taken := self._bodies.pop(delivery.tag, None)) is not None:
                self._queues.put_back(taken[0], [taken[1]])

    def drain(self) -> None:
        """Do nothing: messages are taken in `receive` only."""

    def process_events(self, timeout_s: float) -> None:
        self._woken.wait(timeout_s)
        self._woken.clear()

    def wake(self) -> None:
        self._woken.set()
        self._queues.notify()

    def close(self) -> None:
        self.requeue([Delivery(tag, None) for tag in self._bodies])

    def _deliver(self, queue: str, body: bytes) -> Delivery:
        self._tag += 1
        self._bodies[self._tag] = queue, body
        return Delivery(self._tag, *decode(body), queue)
