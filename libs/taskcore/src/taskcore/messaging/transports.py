"""Receiving messages of many queues: one interface for RabbitMQ and for the queues in memory.

A transport belongs to one thread; only `wake` may be called from others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol


class Delivery(NamedTuple):
    """A message that is neither acknowledged nor requeued yet. `task_id` is None if it is not one of ours.

    `channel` is what delivered it: it can be acknowledged there only.
    """

    tag: int
    task_id: int | None
    traceparent: str | None = None
    queue: str = ""
    channel: Any = None


class Transport(Protocol):
    """Raises `dramatiq.errors.ConnectionClosed` when the connection is lost: the broker requeues all deliveries."""

    def receive(self, limit: int, timeout_s: float) -> list[Delivery]:
        """Return up to `limit` messages of the served queues in turn, and wait up to `timeout_s` for the first.

        Resume consuming after `requeue`.
        """

    def acknowledge(self, deliveries: list[Delivery], *, multiple: bool) -> None:
        """Acknowledge `deliveries`. `multiple`: of their queues, nothing delivered before them stays unacknowledged."""

    def requeue(self, deliveries: list[Delivery]) -> None:
        """Return `deliveries` and everything that `receive` has not returned yet to the queues.

        Stop consuming the queues that they came from, until the next `receive`.
        """

    def drain(self) -> None:
        """Stop consuming all queues."""

    def process_events(self, timeout_s: float) -> None:
        """Keep the connection alive for `timeout_s`, or until `wake`."""

    def wake(self) -> None:
        """End `process_events` or `receive`, now or at its next call."""

    def close(self) -> None: ...


class ServedQueues:
    """The queues that a process consumes. Any thread may replace them."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = frozenset(names)
        self._on_change: Callable[[], None] | None = None

    def replace(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        if self._on_change is not None:
            self._on_change()

    def notify(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` instead of the function given before, in the thread that replaces the names."""
        self._on_change = on_change
