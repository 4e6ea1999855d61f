"""The publisher of the relay: it sends many messages at once and returns those that the broker did not confirm."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import structlog

from taskcore.domain.liveness import RECONNECT_GRACE_S
from taskcore.errors import BrokerUnavailable
from taskcore.messaging.addresses import connection_parameters
from taskcore.messaging.brokers import MemoryBroker, queue_arguments
from taskcore.messaging.messages import build_message
from taskcore.messaging.presence import presence_queue
from taskcore.messaging.publisher_connection import ConfirmConnection
from taskcore.settings import Settings

#: Traceparents by task id.
Contexts = Mapping[int, str]
NO_CONTEXTS: Contexts = MappingProxyType({})

log = structlog.stdlib.get_logger(__name__)


class Publisher(Protocol):
    async def publish(self, queue: str, task_ids: Sequence[int], contexts: Contexts = NO_CONTEXTS) -> list[int]:
        """Send a message for each task, with its traceparent if there is one.

        Return the ids that the broker did not confirm: all of them when it is unavailable.
        """

    async def ready_count(self, queue: str) -> int | None:
        """Return how many messages of `queue` wait for a consumer, or None when the broker cannot say."""

    async def is_worker_gone(self, worker_id: int) -> bool:
        """Return whether the broker is sure that the worker is not connected any more."""

    async def close(self) -> None: ...


class MemoryPublisher:
    """Publishes to a MemoryBroker of the same process."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def publish(self, queue: str, task_ids: Sequence[int], contexts: Contexts = NO_CONTEXTS) -> list[int]:
        self._broker.declare_queue(queue)
        for task_id in task_ids:
            self._broker.enqueue(build_message(queue, task_id, contexts.get(task_id)))
        return []

    async def ready_count(self, queue: str) -> int | None:
        return self._broker.queues[queue].qsize() if queue in self._broker.queues else 0

    async def is_worker_gone(self, worker_id: int) -> bool:
        """Return False: this broker knows of no other process."""
        return False

    async def close(self) -> None:
        """Do nothing."""


class RabbitPublisher:
    """Publishes over one channel in confirm mode: a batch is written as a whole, then its confirms are awaited."""

    def __init__(self, settings: Settings) -> None:
        self._parameters = connection_parameters(settings)
        self._arguments = queue_arguments(settings.queue_type)
        self._connection: ConfirmConnection | None = None
        self._retry_at = 0.0

    async def publish(self, queue: str, task_ids: Sequence[int], contexts: Contexts = NO_CONTEXTS) -> list[int]:
        try:
            connection = await self._connect()
            await connection.declare_queue(queue, self._arguments)
            return await connection.publish(queue, task_ids, contexts)
        except BrokerUnavailable as exc:
            log.warning("broker.unavailable", error=str(exc))
            await self.close()
            return list(task_ids)

    async def ready_count(self, queue: str) -> int | None:
        try:
            connection = await self._connect()
            return await connection.declare_queue(queue, self._arguments, refresh=True)
        except BrokerUnavailable:
            await self.close()
            return None

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
            await self.close()
            return False

    async def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def _connect(self) -> ConfirmConnection:
        if self._connection is not None and not self._connection.is_open:
            await self.close()
        if self._connection is None:
            self._connection = await ConfirmConnection.open(self._parameters)
        return self._connection
