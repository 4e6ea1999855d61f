"""The publisher of the relay: it sends many messages at once and returns those that the broker did not confirm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import structlog
from prometheus_client import Gauge

from taskcore.domain.backoff import Backoff
from taskcore.domain.liveness import RECONNECT_GRACE_S
from taskcore.errors import BrokerUnavailable, QueueRefused
from taskcore.messaging.addresses import connection_parameters
from taskcore.messaging.brokers import MemoryBroker, queue_arguments
from taskcore.messaging.messages import encode
from taskcore.messaging.presence import presence_queue
from taskcore.messaging.publisher_connection import ConfirmConnection
from taskcore.messaging.queue_channel import FIRST_RETRY_S, MAX_RETRY_S
from taskcore.observability.outages import BROKER
from taskcore.settings import Settings

QUEUES_REFUSED = Gauge(
    "taskcore_queues_refused", "Queues whose declaration the broker does not accept", multiprocess_mode="livemax"
)

DECLARED_AT_ONCE = 4
#: For how long nobody tries to connect after a failure: a broker that hangs would delay each of many queues.
RECONNECT_S = 1.0

#: Traceparents by task id.
Contexts = Mapping[int, str]
NO_CONTEXTS: Contexts = MappingProxyType({})

log = structlog.stdlib.get_logger(__name__)


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


@dataclass
class _Refusal:
    """Why the broker does not accept a queue, and until when it is not asked again."""

    reason: str
    retry_at: float
    backoff: Backoff


class RabbitPublisher:
    """Publishes over one channel in confirm mode: a batch is written as a whole, then its confirms are awaited."""

    def __init__(self, settings: Settings) -> None:
        self._addresses = connection_parameters(settings)
        self._arguments = queue_arguments(settings.queue_type)
        self._connection: ConfirmConnection | None = None
        self._connecting = asyncio.Lock()
        self._connect_at = 0.0
        self._retry_at = 0.0
        self._refusals: dict[str, _Refusal] = {}
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
        refusal = self._refusals.get(queue)
        if queue not in self._declaring and (refusal is None or time.monotonic() >= refusal.retry_at):
            self._declaring[queue] = asyncio.create_task(self._declare(queue))
        return False

    async def publish(self, queue: str, task_ids: Sequence[int], contexts: Contexts = NO_CONTEXTS) -> list[int]:
        try:
            connection = await self._connect()
            await connection.declare_queue(queue, self._arguments)
            self._accept(queue)
            unconfirmed = await connection.publish(queue, task_ids, contexts)
            BROKER.succeeded()
            return unconfirmed
        except QueueRefused as exc:
            self._refuse(queue, str(exc))
        except BrokerUnavailable as exc:
            BROKER.failed(str(exc))
            await self._disconnect()
        return list(task_ids)

    async def ready_count(self, queue: str) -> int | None:
        try:
            connection = await self._connect()
            ready = await connection.count_ready(queue, self._arguments)
            BROKER.succeeded()
            return ready
        except QueueRefused as exc:
            self._refuse(queue, str(exc))
        except BrokerUnavailable as exc:
            BROKER.failed(str(exc))
            await self._disconnect()
        return None

    async def delete_queue(self, queue: str) -> bool:
        try:
            connection = await self._connect()
            is_gone = await connection.delete_unused(queue)
        except BrokerUnavailable:
            await self._disconnect()
            return False
        if is_gone:
            self._accept(queue)
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

    async def _declare(self, queue: str) -> None:
        """Declare the queue beside the messages to others: RabbitMQ takes long to make one, and longer to make many."""
        try:
            async with self._declare_slots:
                connection = await self._connect()
                await connection.declare_queue(queue, self._arguments)
            self._accept(queue)
        except QueueRefused as exc:
            self._refuse(queue, str(exc))
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

    def _refuse(self, queue: str, reason: str) -> None:
        """Ask again after a pause that grows. Log each reason once."""
        known = self._refusals.get(queue)
        backoff = Backoff(FIRST_RETRY_S, MAX_RETRY_S) if known is None else known.backoff
        if known is None or known.reason != reason:
            log.error("queue.refused", queue=queue, error=reason)
        self._refusals[queue] = _Refusal(reason, time.monotonic() + backoff.next_s(), backoff)
        QUEUES_REFUSED.set(len(self._refusals))

    def _accept(self, queue: str) -> None:
        if self._refusals.pop(queue, None) is not None:
            log.info("queue.accepted", queue=queue)
            QUEUES_REFUSED.set(len(self._refusals))
