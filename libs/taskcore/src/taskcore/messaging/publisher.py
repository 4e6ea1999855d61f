"""Publishing, for the relay alone: many messages at once, and word of which of them the broker has."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import pika
import structlog
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel

from taskcore.errors import BrokerUnavailable
from taskcore.messaging.brokers import MemoryBroker, connection_parameters, queue_arguments
from taskcore.messaging.messages import encode, message
from taskcore.settings import Settings

CONFIRM_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0

log = structlog.stdlib.get_logger(__name__)


class Publisher(Protocol):
    async def publish(self, queue: str, task_ids: Sequence[int]) -> list[int]:
        """Send a message for each task. Answers those that the broker, there or not, did not confirm."""

    async def ready(self, queue: str) -> int | None:
        """How many messages of `queue` wait for a consumer; None when the broker cannot say."""

    async def close(self) -> None: ...


class MemoryPublisher:
    """Into a MemoryBroker of the same process."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def publish(self, queue: str, task_ids: Sequence[int]) -> list[int]:
        self._broker.declare_queue(queue)
        for task_id in task_ids:
            self._broker.enqueue(message(queue, task_id))
        return []

    async def ready(self, queue: str) -> int | None:
        return self._broker.queues[queue].qsize() if queue in self._broker.queues else 0

    async def close(self) -> None:
        """Nothing is open."""


class RabbitPublisher:
    """Over one channel in confirm mode. A batch is written whole and its confirms awaited together."""

    def __init__(self, settings: Settings) -> None:
        self._parameters = connection_parameters(settings)
        self._arguments = queue_arguments(settings.queue_type)
        self._link: _Link | None = None

    async def publish(self, queue: str, task_ids: Sequence[int]) -> list[int]:
        try:
            link = await self._linked()
            await link.declare(queue, self._arguments)
            return await link.publish(queue, task_ids)
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

    async def close(self) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            await link.close()

    async def _linked(self) -> _Link:
        if self._link is not None and not self._link.is_open:
            await self.close()
        if self._link is None:
            self._link = await _Link.open(self._parameters)
        return self._link


class _Connection(AsyncioConnection):  # type: ignore[misc]
    """Sends what one turn of the loop has to say in one piece: pika itself makes three system calls of each message."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._pieces: list[bytes] = []
        super().__init__(*arguments, **options)

    def _adapter_emit_data(self, data: bytes) -> None:
        if not self._pieces:
            self.ioloop.call_soon(self._emit)
        self._pieces.append(data)

    def _emit(self) -> None:
        data, self._pieces = b"".join(self._pieces), []
        if not self.is_closed:
            super()._adapter_emit_data(data)


class _Link:
    """A connection with one channel, for as long as both live."""

    def __init__(self, connection: AsyncioConnection, channel: Channel, ended: asyncio.Event) -> None:
        self._connection = connection
        self._channel = channel
        self._ended = ended
        self._declared: set[str] = set()
        self._tag = 0
        self._unconfirmed: dict[int, int] = {}
        self._returned: set[int] = set()
        self._changed = asyncio.Event()
        self._broken: BaseException | None = None
        channel.add_on_close_callback(lambda _channel, reason: self._break(reason))
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm)

    @classmethod
    async def open(cls, parameters: pika.URLParameters) -> _Link:
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Channel] = loop.create_future()
        ended = asyncio.Event()

        def fail(_connection: Any, error: BaseException) -> None:
            ended.set()
            if not opened.done():
                opened.set_exception(BrokerUnavailable(f"cannot reach the broker: {error!r}"))

        def succeed(channel: Channel) -> None:
            if not opened.done():
                opened.set_result(channel)

        connection = _Connection(
            parameters,
            on_open_callback=lambda c: c.channel(on_open_callback=succeed),
            on_open_error_callback=fail,
            on_close_callback=fail,
        )
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return cls(connection, await opened, ended)
        except TimeoutError as exc:
            raise BrokerUnavailable("the broker does not answer") from exc

    @property
    def is_open(self) -> bool:
        return self._broken is None and self._channel.is_open

    async def declare(self, queue: str, arguments: dict[str, Any], *, again: bool = False) -> int:
        """Make sure of `queue`; answers how many messages are ready in it (0 where it was declared before)."""
        if queue in self._declared and not again:
            return 0
        declared: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def on_declared(frame: Any) -> None:
            if not declared.done():
                declared.set_result(frame.method.message_count)
            self._changed.set()

        self._require_open()
        self._channel.queue_declare(queue, durable=True, arguments=arguments, callback=on_declared)
        await self._until(declared.done)
        self._declared.add(queue)
        return declared.result()

    async def publish(self, queue: str, task_ids: Sequence[int]) -> list[int]:
        self._require_open()
        properties = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent.value)
        self._unconfirmed.clear()
        self._returned.clear()
        for task_id in task_ids:
            properties.message_id = str(task_id)
            self._channel.basic_publish("", queue, encode(queue, task_id), properties, mandatory=True)
            self._tag += 1
            self._unconfirmed[self._tag] = task_id
        try:
            await self._until(lambda: not self._unconfirmed)
        except BrokerUnavailable as exc:
            log.warning("broker.unconfirmed", queue=queue, count=len(self._unconfirmed), error=str(exc))
            self._break(exc)
        if self._returned:
            self._declared.discard(queue)  # it was deleted
        return [*self._unconfirmed.values(), *self._returned]

    async def close(self) -> None:
        """Waits for the server's word, but not for long."""
        self._break(BrokerUnavailable("closed"))
        if self._connection.is_open:
            self._connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._ended.wait()

    async def _until(self, is_met: Callable[[], bool]) -> None:
        """Wait for something that a callback brings about; a broken channel or silence ends the wait."""
        try:
            async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                while not is_met():
                    self._require_open()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as exc:
            raise BrokerUnavailable("the broker does not answer") from exc

    def _require_open(self) -> None:
        if not self.is_open:
            raise BrokerUnavailable(f"the channel is closed: {self._broken!r}")

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        is_ack = isinstance(method, pika.spec.Basic.Ack)
        for tag in self._confirmed(method):
            task_id = self._unconfirmed.pop(tag, None)
            if task_id is not None and not is_ack:
                self._returned.add(task_id)
        if not self._unconfirmed:
            self._changed.set()

    def _confirmed(self, method: Any) -> list[int]:
        if not method.multiple:
            return [method.delivery_tag]
        return list(itertools.takewhile(lambda tag: tag <= method.delivery_tag, self._unconfirmed))

    def _on_return(self, _channel: Any, _method: Any, properties: pika.BasicProperties, _body: bytes) -> None:
        self._returned.add(int(properties.message_id or 0))

    def _break(self, reason: BaseException) -> None:
        self._broken = self._broken or reason
        self._changed.set()
