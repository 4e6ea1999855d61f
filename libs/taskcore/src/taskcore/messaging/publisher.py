"""Publishing, for the relay alone: many messages at once, and word of which of them the broker has."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import structlog

from taskcore.db.workers.leases import HEARING_S
from taskcore.errors import BrokerUnavailable
from taskcore.messaging.brokers import MemoryBroker, connection_parameters, queue_arguments
from taskcore.messaging.messages import message
from taskcore.messaging.presence import queue_of_worker
from taskcore.messaging.publisher_connection import Link
from taskcore.settings import Settings

NONE: Mapping[int, str] = MappingProxyType({})

log = structlog.stdlib.get_logger(__name__)


class Publisher(Protocol):
    async def publish(self, queue: str, task_ids: Sequence[int], contexts: Mapping[int, str] = NONE) -> list[int]:
        """Send a message for each task, with the traceparent that `contexts` has for it.

        Answers those that the broker, there or not, did not confirm.
        """

    async def ready(self, queue: str) -> int | None:
        """How many messages of `queue` wait for a consumer; None when the broker cannot say."""

    async def is_absent(self, worker_id: int) -> bool:
        """Whether the broker is sure that the worker is gone."""

    async def close(self) -> None: ...


class MemoryPublisher:
    """Into a MemoryBroker of the same process."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def publish(self, queue: str, task_ids: Sequence[int], contexts: Mapping[int, str] = NONE) -> list[int]:
        self._broker.declare_queue(queue)
        for task_id in task_ids:
            self._broker.enqueue(message(queue, task_id, contexts.get(task_id)))
        return []

    async def ready(self, queue: str) -> int | None:
        return self._broker.queues[queue].qsize() if queue in self._broker.queues else 0

    async def is_absent(self, worker_id: int) -> bool:
        """A broker within the process knows nothing of others."""
        return False

    async def close(self) -> None:
        """Nothing is open."""


class RabbitPublisher:
    """Over one channel in confirm mode. A batch is written whole and its confirms awaited together."""

    def __init__(self, settings: Settings) -> None:
        self._parameters = connection_parameters(settings)
        self._arguments = queue_arguments(settings.queue_type)
        self._link: Link | None = None
        self._ask_again_at = 0.0

    async def publish(self, queue: str, task_ids: Sequence[int], contexts: Mapping[int, str] = NONE) -> list[int]:
        try:
            link = await self._linked()
            await link.declare(queue, self._arguments)
            return await link.publish(queue, task_ids, contexts)
        except BrokerUnavailable as exc:
            log.warning("broker.away", error=str(exc))
            await self.close()
            return list(task_ids)

    async def ready(self, queue: str) -> int | None:
        try:
            link = await self._linked()
            return await link.declare(queue, self._arguments, again=True)
        except BrokerUnavailable:
            await self.close()
            return None

    async def is_absent(self, worker_id: int) -> bool:
        """Not said until the connection has stood for `HEARING_S`: a restart of the broker takes all such queues."""
        if time.monotonic() < self._ask_again_at:
            return False
        try:
            link = await self._linked()
            if time.monotonic() - link.opened_at < HEARING_S:
                return False
            return await link.is_gone(queue_of_worker(worker_id))
        except BrokerUnavailable:
            self._ask_again_at = time.monotonic() + HEARING_S  # each question to a silent broker takes long
            await self.close()
            return False

    async def close(self) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            await link.close()

    async def _linked(self) -> Link:
        if self._link is not None and not self._link.is_open:
            await self.close()
        if self._link is None:
            self._link = await Link.open(self._parameters)
        return self._link
