"""Receiving from RabbitMQ: one connection for all queues of a process, with a channel for each."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pika
from dramatiq.errors import ConnectionClosed
from pika.adapters.select_connection import IOLoop
from pika.exceptions import AMQPError

from taskcore.messaging.addresses import shuffled
from taskcore.messaging.queue_channel import QueueChannel
from taskcore.messaging.transports import Delivery, ServedQueues

CLOSE_TIMEOUT_S = 2.0
#: How many queues that were requeued are consumed again at once: a slot that is free needs only one message.
RESUMED_AT_ONCE = 16
RESUME_INTERVAL_S = 0.02
OPENED_AT_ONCE = 8


class RabbitTransport:
    """Connects to the first of `addresses` that answers. pika's callbacks run only inside of its methods."""

    def __init__(
        self,
        addresses: Sequence[pika.ConnectionParameters],
        served: ServedQueues,
        arguments: dict[str, Any],
        prefetch: int,
    ) -> None:
        self._served = served
        self._arguments = arguments
        self._prefetch = prefetch
        self._loop = IOLoop()
        self._loop.activate_poller()
        self._failure: BaseException | None = None
        self._is_woken = False
        self._names: frozenset[str] = frozenset()
        self._channels: dict[str, QueueChannel] = {}
        self._unopened: deque[str] = deque()
        self._paused: deque[QueueChannel] = deque()
        self._delivered: deque[QueueChannel] = deque()  # with messages, in the order in which each gives one
        self._connection = self._connect(addresses)
        served.notify(self.wake)

    def receive(self, limit: int, timeout_s: float) -> list[Delivery]:
        with _dramatiq_errors():
            self._update_channels()
            self._resume(1 if self._delivered else RESUMED_AT_ONCE)
            timeout_s = min(timeout_s, RESUME_INTERVAL_S) if self._paused or self._unopened else timeout_s
            self._run(0 if self._delivered else timeout_s, until=lambda: bool(self._delivered))
        return list(self._take(limit))

    def acknowledge(self, deliveries: list[Delivery], *, multiple: bool) -> None:
        last = {delivery.channel: delivery for delivery in deliveries}
        with _dramatiq_errors():
            for delivery in last.values() if multiple else deliveries:
                if delivery.channel.is_open:
                    delivery.channel.basic_ack(delivery.tag, multiple=multiple)

    def requeue(self, deliveries: list[Delivery]) -> None:
        waiting = [delivery for each in dict.fromkeys(self._delivered) for delivery in each.inbox]
        with _dramatiq_errors():
            for queue in {delivery.queue for delivery in (*deliveries, *waiting)}:
                self._pause(queue)
            for delivery in (*deliveries, *waiting):
                if delivery.channel.is_open:
                    delivery.channel.basic_nack(delivery.tag, requeue=True)
        self._delivered.clear()

    def drain(self) -> None:
        with _dramatiq_errors():
            for queue in self._channels:
                self._pause(queue)

    def process_events(self, timeout_s: float) -> None:
        with _dramatiq_errors():
            self._update_channels()
            self._run(timeout_s, until=lambda: False)

    def wake(self) -> None:
        self._loop.add_callback_threadsafe(self._on_wake)

    def close(self) -> None:
        with suppress(AMQPError, OSError):
            if self._connection.is_open:
                self._connection.close()
                self._poll_until(lambda: self._connection.is_closed, CLOSE_TIMEOUT_S)
        self._loop.close()

    def _connect(self, addresses: Sequence[pika.ConnectionParameters]) -> pika.SelectConnection:
        failure: Any = None
        for parameters in shuffled(addresses):
            outcome = self._try_to_connect(parameters)
            if isinstance(outcome, pika.SelectConnection):
                return outcome
            failure = outcome
        self._loop.close()
        raise ConnectionClosed(failure) from failure  # type: ignore[no-untyped-call]

    def _try_to_connect(self, parameters: pika.ConnectionParameters) -> Any:
        """Return the connection, or the error."""
        outcomes: list[Any] = []
        pika.SelectConnection(
            parameters,
            on_open_callback=outcomes.append,
            on_open_error_callback=lambda _connection, error: outcomes.append(error),
            on_close_callback=self._on_close,
            custom_ioloop=self._loop,
        )
        self._poll_until(lambda: bool(outcomes))  # at the latest, pika's `stack_timeout` ends it
        return outcomes[0]

    def _update_channels(self) -> None:
        """Open channels of queues that are new, and close those of queues that are gone."""
        names = self._served.names
        if names is not self._names:
            self._names = names
            for queue in self._channels.keys() - names:
                self._channels.pop(queue).close()
            self._paused = deque(each for each in self._paused if each.queue in names)
            self._unopened = deque(sorted(names - self._channels.keys()))
        if self._unopened:
            self._open_some()

    def _open_some(self) -> None:
        """RabbitMQ takes long to make a queue, and is of no use to others while it makes many."""
        opening = sum(each.is_opening for each in self._channels.values())
        for _ in range(min(OPENED_AT_ONCE - opening, len(self._unopened))):
            queue = self._unopened.popleft()
            self._channels[queue] = QueueChannel(
                self._connection, queue, self._arguments, self._prefetch, self._delivered.append
            )

    def _pause(self, queue: str) -> None:
        channel = self._channels.get(queue)
        if channel is not None and not channel.is_paused:
            channel.pause()
            channel.inbox.clear()
            self._paused.append(channel)

    def _resume(self, count: int) -> None:
        """Resume the queues that have been paused for longest: each gets its turn, however full the others are."""
        for _ in range(min(count, len(self._paused))):
            self._paused.popleft().resume()

    def _take(self, limit: int) -> Iterator[Delivery]:
        """Yield one message of each queue in turn."""
        while limit > 0 and self._delivered:
            channel = self._delivered.popleft()
            if channel.inbox:  # its channel may have been closed since
                yield channel.inbox.popleft()
                limit -= 1
            if channel.inbox:
                self._delivered.append(channel)

    def _run(self, timeout_s: float, until: Callable[[], bool]) -> None:
        """Handle what the broker sends for `timeout_s`, until `wake` or until the condition holds; at least once."""
        self._poll_until(lambda: self._is_woken or self._failure is not None or until(), timeout_s)
        self._is_woken = False
        if self._failure is not None:
            raise ConnectionClosed(self._failure)  # type: ignore[no-untyped-call]

    def _poll_until(self, is_met: Callable[[], bool], timeout_s: float | None = None) -> None:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        timer = None if timeout_s is None else self._loop.call_later(timeout_s, lambda: None)  # ends a poll
        while True:
            self._loop.poll()
            self._loop.process_timeouts()
            if is_met() or (deadline is not None and time.monotonic() >= deadline):
                break
        if timer is not None:
            self._loop.remove_timeout(timer)

    def _on_wake(self) -> None:
        self._is_woken = True

    def _on_close(self, _connection: Any, reason: BaseException) -> None:
        self._failure = reason


@contextmanager
def _dramatiq_errors() -> Iterator[None]:
    """Translate pika's errors to the one that makes Dramatiq restart the consumer."""
    try:
        yield
    except (OSError, AMQPError) as exc:
        raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call]
