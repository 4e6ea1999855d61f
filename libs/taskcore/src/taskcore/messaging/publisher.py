"""Publishing, for the relay alone: many messages at once, and word of which of them the broker has."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import structlog

from taskcore.db.workers.leases import RECONNECT_GRACE_S
from taskcore.errors import BrokerUnavailable
from taskcore.messaging.brokers import MemoryBroker, connection_parameters, queue_arguments
from taskcore.messaging.messages import build_message
from taskcore.messaging.presence import presence_queue
from taskcore.messaging.publisher_connection import ConfirmConnection
from taskcore.settings import Settings

NO_CONTEXTS: Mapping[int, str] = MappingProxyType({})

log = structlog.stdlib.get_logger(__name__)


class Publisher(Protocol):
    async def publish(
        self, queue: str, task_ids: Sequence[int], traceparents: Mapping[int, str] = NO_CONTEXTS
    ) -> list[int]:
        """Send a message for each task, with the traceparent that `contexts` has for it.

        Answers those that the broker, there or not, did not confirm.
        """

    async def ready_count(self, queue: str) -> int | None:
        """How many messages of `queue` wait for a consumer; None when the broker cannot say."""

    async def is_worker_gone(self, worker_id: int) -> bool:
        """Whether the broker is sure that the worker is gone."""

    async def close(self) -> None: ...


class MemoryPublisher:
    """Into a MemoryBroker of the same process."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def publish(
        self, queue: str, task_ids: Sequence[int], traceparents: Mapping[int, str] = NO_CONTEXTS
    ) -> list[int]:
        self._broker.declare_queue(queue)
        for task_id in task_ids:
            self._broker.enqueue(build_message(queue, task_id, traceparents.get(task_id)))
        return []

    async def ready_count(self, queue: str) -> int | None:
        return self._broker.queues[queue].qsize() if queue in self._broker.queues else 0

    async def is_worker_gone(self, worker_id: int) -> bool:
        """A broker within the process knows nothing of others."""
        return False

    async def close(self) -> None:
        """Nothing is open."""


class RabbitPublisher:
    """Over one channel in confirm mode. A batch is written whole and its confirms awaited together."""

    def __init__(self, settings: Settings) -> None:
        self._parameters = connection_parameters(settings)
        self._arguments = queue_arguments(settings.queue_type)
        self._connection: ConfirmConnection | None = None
        self._retry_at = 0.0

    async def publish(
        self, queue: str, task_ids: Sequence[int], traceparents: Mapping[int, str] = NO_CONTEXTS
    ) -> list[int]:
        try:
            link = await self._connect()
            await link.declare_queue(queue, self._arguments)
            return await link.publish(queue, task_ids, traceparents)
        except BrokerUnavailable as exc:
            log.warning("broker.unavailable", error=str(exc))
            await self.close()
            return list(task_ids)

    async def ready_count(self, queue: str) -> int | None:
        try:
            link = await self._connect()
            return await link.declare_queue(queue, self._arguments, refresh=True)
        except BrokerUnavailable:
            await self.close()
            return None

    async def is_worker_gone(self, worker_id: int) -> bool:
        """Not said until the connection has stood for `HEARING_S`: a restart of the broker takes all such queues."""
        if time.monotonic() < self._retry_at:
            return False
        try:
            link = await self._connect()
            if time.monotonic() - link.opened_at < RECONNECT_GRACE_S:
                return False
            return await link.is_gone(presence_queue(worker_id))
        except BrokerUnavailable:
            self._retry_at = time.monotonic() + RECONNECT_GRACE_S  # each question to a silent broker takes long
            await self.close()
            return False

    async def close(self) -> None:
        if self._connection is not None:
            link, self._connection = self._connection, None
            await link.close()

    async def _connect(self) -> ConfirmConnection:
        if self._connection is not None and not self._connection.is_open:
            await self.close()
        if self._connection is None:
            self._connection = await ConfirmConnection.open(self._parameters)
        return self._connection
