"""Receiving messages: one interface for RabbitMQ and for Dramatiq's StubBroker.

A transport belongs to one thread; only `wake` may be called from others.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import pika
import pika.exceptions
from dramatiq.errors import ConnectionClosed
from pika.adapters.blocking_connection import BlockingChannel

from taskcore.messaging.addresses import shuffled
from taskcore.messaging.messages import decode


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is neither acknowledged nor requeued yet. `task_id` is None if it is not one of ours."""

    tag: int
    task_id: int | None
    traceparent: str | None = None


class Transport(Protocol):
    """Raises `dramatiq.errors.ConnectionClosed` when the connection is lost: the broker requeues all deliveries."""

    def receive(self, limit: int, timeout_s: float) -> list[Delivery]:
        """Return up to `limit` messages, and wait up to `timeout_s` for the first. Resume consuming after `requeue`."""

    def acknowledge(self, deliveries: list[Delivery], *, multiple: bool) -> None:
        """Acknowledge `deliveries`. `multiple`: nothing delivered before the last of them stays unacknowledged."""

    def requeue(self, deliveries: list[Delivery]) -> None:
        """Return `deliveries` and everything that `receive` has not returned yet to the queue, and stop consuming."""

    def process_events(self, timeout_s: float) -> None:
        """Keep the connection alive for `timeout_s`, or until `wake`."""

    def wake(self) -> None:
        """End `process_events`, now or at its next call."""

    def close(self) -> None: ...


class RabbitTransport:
    """A consumer on its own connection, with at most `prefetch` unacknowledged messages."""

    def __init__(self, parameters: Any, queue_name: str, arguments: dict[str, Any], prefetch: int) -> None:
        self._queue_name = queue_name
        self._inbox: deque[Delivery] = deque()
        self._consumer_tag: str | None = None
        with _dramatiq_errors():
            self._connection = pika.BlockingConnection(shuffled(parameters))
            self._channel = self._connection.channel()
            self._channel.queue_declare(queue_name, durable=True, arguments=arguments)
            self._channel.basic_qos(prefetch_count=prefetch)
            self._channel.add_on_cancel_callback(self._on_cancelled)

    def receive(self, limit: int, timeout_s: float) -> list[Delivery]:
        with _dramatiq_errors():
            if self._consumer_tag is None:
                self._consumer_tag = self._channel.basic_consume(self._queue_name, self._on_message)
            self._connection.process_data_events(0 if self._inbox else timeout_s)
        return [self._inbox.popleft() for _ in range(min(limit, len(self._inbox)))]

    def acknowledge(self, deliveries: list[Delivery], *, multiple: bool) -> None:
        frames = deliveries[-1:] if multiple else deliveries
        with _dramatiq_errors():
            for delivery in frames:
                self._channel.basic_ack(delivery.tag, multiple=multiple)

    def requeue(self, deliveries: list[Delivery]) -> None:
        with _dramatiq_errors():
            if self._consumer_tag is not None:
                self._channel.basic_cancel(self._consumer_tag)
                self._consumer_tag = None
            for delivery in (*deliveries, *self._inbox):
                self._channel.basic_nack(delivery.tag, requeue=True)
            self._inbox.clear()

    def process_events(self, timeout_s: float) -> None:
        with _dramatiq_errors():
            self._connection.process_data_events(timeout_s)

    def wake(self) -> None:
        try:
            self._connection.add_callback_threadsafe(lambda: None)  # any callback ends the wait
        except pika.exceptions.ConnectionWrongStateError:
            return  # nothing waits on a closed connection

    def close(self) -> None:
        try:
            if self._connection.is_open:
                self._connection.close()
        except (AssertionError, pika.exceptions.AMQPError):
            return  # it is closed already

    def _on_message(self, _channel: BlockingChannel, method: Any, _properties: Any, body: bytes) -> None:
        self._inbox.append(Delivery(method.delivery_tag, *decode(body)))

    def _on_cancelled(self, _frame: Any) -> None:
        """The queue was deleted: raise, so that a new connection declares it again."""
        raise pika.exceptions.ConsumerCancelled


class StubTransport:
    """A consumer of the in-memory queue of a StubBroker. Losing its messages with the process loses no task."""

    def __init__(self, messages: queue.Queue[bytes]) -> None:
        self._messages = messages
        self._tag = 0
        self._bodies: dict[int, bytes] = {}
        self._woken = threading.Event()

    def receive(self, limit: int, timeout_s: float) -> list[Delivery]:
        found: list[Delivery] = []
        deadline = time.monotonic() + timeout_s
        while len(found) < limit:
            try:
                body = self._messages.get(timeout=0 if found else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            self._tag += 1
            self._bodies[self._tag] = body
            found.append(Delivery(self._tag, *decode(body)))
        return found

    def acknowledge(self, deliveries: list[Delivery], *, multiple: bool) -> None:
        for delivery in deliveries:
            if self._bodies.pop(delivery.tag, None) is not None:
                self._messages.task_done()

    def requeue(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            if (body := self._bodies.pop(delivery.tag, None)) is not None:
                self._messages.put(body)
                self._messages.task_done()

    def process_events(self, timeout_s: float) -> None:
        self._woken.wait(timeout_s)
        self._woken.clear()

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        self.requeue([Delivery(tag, None) for tag in list(self._bodies)])


@contextmanager
def _dramatiq_errors() -> Iterator[None]:
    """Translate pika's errors to the one that makes Dramatiq restart the consumer.

    pika raises a `ValueError` when it has to wait on a closed connection.
    """
    try:
        yield
    except (AssertionError, OSError, ValueError, pika.exceptions.AMQPError) as exc:
        raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call]
