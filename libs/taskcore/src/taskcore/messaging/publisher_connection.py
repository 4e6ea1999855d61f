"""The relay's connection to RabbitMQ: a channel in confirm mode, on pika's asyncio connection."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pika
import structlog
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel

from taskcore.errors import BrokerUnavailable
from taskcore.messaging.messages import encode

CONFIRM_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
NOT_FOUND = 404

log = structlog.stdlib.get_logger(__name__)


class _BufferedConnection(AsyncioConnection):  # type: ignore[misc]
    """Sends what one turn of the loop has to say in one piece: pika itself makes three system calls of each message."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._pending: list[bytes] = []
        super().__init__(*arguments, **options)

    def _adapter_emit_data(self, data: bytes) -> None:
        if not self._pending:
            self.ioloop.call_soon(self._flush)
        self._pending.append(data)

    def _flush(self) -> None:
        data, self._pending = b"".join(self._pending), []
        if not self.is_closed:
            super()._adapter_emit_data(data)


class ConfirmConnection:
    """A connection with one channel, for as long as both live."""

    def __init__(self, connection: AsyncioConnection, channel: Channel, ended: asyncio.Event) -> None:
        self._connection = connection
        self._channel = channel
        self.opened_at = time.monotonic()
        self._closed = ended
        self._declared: set[str] = set()
        self._tag = 0
        self._unconfirmed: dict[int, int] = {}
        self._rejected: set[int] = set()
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None
        channel.add_on_close_callback(lambda _channel, reason: self._fail(reason))
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm)

    @classmethod
    async def open(cls, parameters: pika.URLParameters) -> ConfirmConnection:
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

        connection = _BufferedConnection(
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
        return self._failure is None and self._channel.is_open

    async def declare_queue(self, queue: str, arguments: dict[str, Any], *, refresh: bool = False) -> int:
        """Make sure of `queue`; answers how many messages are ready in it (0 where it was declared before)."""
        if queue in self._declared and not refresh:
            return 0
        declared: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def on_declared(frame: Any) -> None:
            if not declared.done():
                declared.set_result(frame.method.message_count)
            self._changed.set()

        self._require_open()
        self._channel.queue_declare(queue, durable=True, arguments=arguments, callback=on_declared)
        await self._wait_until(declared.done)
        self._declared.add(queue)
        return declared.result()

    async def publish(self, queue: str, task_ids: Sequence[int], traceparents: Mapping[int, str]) -> list[int]:
        self._require_open()
        properties = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent.value)
        self._unconfirmed.clear()
        self._rejected.clear()
        for task_id in task_ids:
            properties.message_id = str(task_id)
            self._channel.basic_publish(
                "", queue, encode(queue, task_id, traceparents.get(task_id)), properties, mandatory=True
            )
            self._tag += 1
            self._unconfirmed[self._tag] = task_id
        try:
            await self._wait_until(lambda: not self._unconfirmed)
        except BrokerUnavailable as exc:
            log.warning("broker.unconfirmed", queue=queue, count=len(self._unconfirmed), error=str(exc))
            self._fail(exc)
        if self._rejected:
            self._declared.discard(queue)  # it was deleted
        return [*self._unconfirmed.values(), *self._rejected]

    async def is_gone(self, queue: str) -> bool:
        """Whether the broker has no such queue. Asked on a channel of its own, which the answer «no» closes."""
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def answer(is_gone: bool) -> None:
            if not answered.done():
                answered.set_result(is_gone)

        def ask(channel: Channel) -> None:
            channel.add_on_close_callback(lambda _, reason: answer(getattr(reason, "reply_code", 0) == NOT_FOUND))
            channel.queue_declare(queue, passive=True, callback=lambda _: channel.close())

        self._require_open()
        self._connection.channel(on_open_callback=ask)
        try:
            async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                return await answered
        except TimeoutError as exc:
            raise BrokerUnavailable("the broker does not answer") from exc

    async def close(self) -> None:
        """Waits for the server's word, but not for long."""
        self._fail(BrokerUnavailable("closed"))
        if self._connection.is_open:
            self._connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._closed.wait()

    async def _wait_until(self, is_met: Callable[[], bool]) -> None:
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
            raise BrokerUnavailable(f"the channel is closed: {self._failure!r}")

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        is_ack = isinstance(method, pika.spec.Basic.Ack)
        for tag in self._confirmed_tags(method):
            task_id = self._unconfirmed.pop(tag, None)
            if task_id is not None and not is_ack:
                self._rejected.add(task_id)
        if not self._unconfirmed:
            self._changed.set()

    def _confirmed_tags(self, method: Any) -> list[int]:
        if not method.multiple:
            return [method.delivery_tag]
        return list(itertools.takewhile(lambda tag: tag <= method.delivery_tag, self._unconfirmed))

    def _on_return(self, _channel: Any, _method: Any, properties: pika.BasicProperties, _body: bytes) -> None:
        self._rejected.add(int(properties.message_id or 0))

    def _fail(self, reason: BaseException) -> None:
        self._failure = self._failure or reason
        self._changed.set()
