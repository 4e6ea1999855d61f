"""The publisher of the relay: it sends many messages at once and returns those that the broker did not confirm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, TypeVar

from taskcore.domain.liveness import RECONNECT_GRACE_S
from taskcore.errors import BrokerUnavailable, QueueRefused
from taskcore.messaging.addresses import connection_parameters
from taskcore.messaging.brokers import MemoryBroker, queue_arguments
from taskcore.messaging.messages import encode
from taskcore.messaging.presence import presence_queue
from taskcore.messaging.publisher_connection import ConfirmConnection
from taskcore.messaging.refused_queues import FORGET_AFTER_S, RefusedQueues
from taskcore.observability.outages import BROKER
from taskcore.settings import Settings

T = TypeVar("T")

DECLARED_AT_ONCE = 4
#: How long to wait after a failed connect: with a broker that hangs, each of many queues would be delayed.
RECONNECT_S = 1.0

#: Traceparents by task id.
Contexts = Mapping[int, str]
NO_CONTEXTS: Contexts = MappingProxyType({})


class Publisher(Protocol):
    async def connect(self) -> bool:
        """Return whether the broker can be reached, and connect to it if necessary."""

    def is_ready(self, queue: str) -> bool:
        """Return whether the broker has the queue. If not, begin to make it, so that it is ready soon.

        It stays unready while the broker refuses it.
        """

    async def publish(self, queue: str, task_ids: Sequence[int], contexts: Contexts = NO_CONTEXTS) -> list[int]:
        """Send a message for each task, with its traceparent if there is one.

        Return the ids that the broker did not confirm: all of them when it is unavailable.
        """

    async def ready_count(self, queue: str) -> int | None:
        """Return how many messages of `queue` wait for a consumer, or None when the broker cannot say."""

    async def delete_queue(self, queue: str) -> bool:
        """Delete the queue from the broker if it has neither messages nor consumers. Return whether it is gone."""

    async def is_worker_gone(self, worker_id: int) -> bool:
        """Return whether the broker is sure that the worker is not connected any more."""

    async def close(self) -> None: ...


class MemoryPublisher:
    """Publishes to a MemoryBroker of the same process."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._messages = broker.messages

    async def connect(self) -> bool:
        return True

    def is_ready(self, queue: str) -> bool:
        return True

    async def publish(self, queue: str, task_ids: Sequence[int], contexts: Contexts = NO_CONTEXTS) -> list[int]:
        self._messages.put(queue, [encode(queue, task_id, contexts.get(task_id)) for task_id in task_ids])
        return []

    async def ready_count(self, queue: str) -> int | None:
        return self._messages.count(queue)

    async def delete_queue(self, queue: str) -> bool:
        """Return whether it has no messages: then it does not exist."""
        return self._messages.count(queue) == 0

    async def is_worker_gone(self, worker_id: int) -> bool:
        """Return False: this broker knows of no other process."""
        return False

    async def close(self) -> None:
        """Do nothing."""


class RabbitPublisher:
    """Publishes over one channel in confirm mode: a batch is written as a whole, then its confirms are awaited."""

    def __init__(self, settings: Settings, forget_after_s: float = FORGET_AFTER_S) -> None:
        self._addresses = connection_parameters(settings)
        self._arguments = queue_arguments(settings.queue_type)
        self._connection: ConfirmConnection | None = None
        self._connecting = asyncio.Lock()
        self._connect_at = 0.0
        self._retry_at = 0.0
        self._refused = RefusedQueues(forget_after_s)
        self._declaring: dict[str, asyncio.Task[None]] = {}
        self._declare_slots = asyncio.Semaphore(DECLARED_AT_ONCE)

    async def connect(self) -> bool:
        try:
            await self._connect()
        except BrokerUnavailable as exc:
            BROKER.failed(str(exc))
            return False
        return True

    def is_ready(self, queue: str) -> bool:
        if self._connection is not None and self._connection.has_declared(queue):
            return True
        if queue not in self._declaring and self._refused.may_retry(queue):
            self._declaring[queue] = asyncio.create_task(self._declare(queue))
        return False

    async def publish(self, queue: str, task_ids: Sequence[int], contexts: Contexts = NO_CONTEXTS) -> list[int]:
        async def publish(connection: ConfirmConnection) -> list[int]:
            await connection.declare_queue(queue, self._arguments)
            self._refused.accept(queue)
            return await connection.publish(queue, task_ids, contexts)

        unconfirmed = await self._use(queue, publish)
        return list(task_ids) if unconfirmed is None else unconfirmed

    async def ready_count(self, queue: str) -> int | None:
        return await self._use(queue, lambda connection: connection.count_ready(queue, self._arguments))

    async def delete_queue(self, queue: str) -> bool:
        try:
            connection = await self._connect()
            is_gone = await connection.delete_unused(queue)
        except BrokerUnavailable:
            await self._disconnect()
            return False
        if is_gone:
            self._refused.accept(queue)
        return is_gone

    async def is_worker_gone(self, worker_id: int) -> bool:
        """Return whether the worker's presence queue is gone.

        Always False until the connection is `RECONNECT_GRACE_S` old: a restart of RabbitMQ deletes the queues of all
        workers.
        """
        if time.monotonic() < self._retry_at:
            return False
        try:
            connection = await self._connect()
            if time.monotonic() - connection.opened_at < RECONNECT_GRACE_S:
                return False
            return not await connection.queue_exists(presence_queue(worker_id))
        except BrokerUnavailable:
            self._retry_at = time.monotonic() + RECONNECT_GRACE_S  # a broker that hangs delays every question
            await self._disconnect()
            return False

    async def close(self) -> None:
        for task in self._declaring.values():
            task.cancel()
        await self._disconnect()

    async def _use(self, queue: str, action: Callable[[ConfirmConnection], Awaitable[T]]) -> T | None:
        """Return the result of `action`, or None if the broker refuses the queue or is unavailable."""
        try:
            result = await action(await self._connect())
            BROKER.succeeded()
            return result
        except QueueRefused as exc:
            self._refused.refuse(queue, str(exc))
        except BrokerUnavailable as exc:
            BROKER.failed(str(exc))
            await self._disconnect()
        return None

    async def _declare(self, queue: str) -> None:
        """Declare the queue beside the messages to others: RabbitMQ takes long to make one, and longer to make many."""
        try:
            async with self._declare_slots:
                connection = await self._connect()
                await connection.declare_queue(queue, self._arguments)
            self._refused.accept(queue)
        except QueueRefused as exc:
            self._refused.refuse(queue, str(exc))
        except BrokerUnavailable as exc:
            BROKER.failed(str(exc))
        finally:
            del self._declaring[queue]

    async def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def _connect(self) -> ConfirmConnection:
        async with self._connecting:
            if self._connection is not None and not self._connection.is_open:
                await self._disconnect()
            if self._connection is None:
                self._connection = await self._open()
            return self._connection

    async def _open(self) -> ConfirmConnection:
        if time.monotonic() < self._connect_at:
            raise BrokerUnavailable
        try:
            return await ConfirmConnection.open(self._addresses)
        except BrokerUnavailable:
            self._connect_at = time.monotonic() + RECONNECT_S
            raise
