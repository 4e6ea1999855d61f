"""The relay's connection to RabbitMQ: a channel in confirm mode, on pika's asyncio connection."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import pika
import structlog
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel

from taskcore.errors import BrokerUnavailable
from taskcore.messaging.addresses import CONNECT_TIMEOUT_S, shuffled
from taskcore.messaging.messages import encode

CONFIRM_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
NOT_FOUND = 404

Result = TypeVar("Result")

log = structlog.stdlib.get_logger(__name__)


class _BufferedConnection(AsyncioConnection):  # type: ignore[misc]
    """Sends all frames of one turn of the event loop at once; pika alone makes three system calls per message."""

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
    """A connection with one channel. When either closes, every method raises `BrokerUnavailable`."""

    def __init__(self, connection: AsyncioConnection, channel: Channel, closed: asyncio.Event) -> None:
        self._connection = connection
        self._channel = channel
        self.opened_at = time.monotonic()
        self._closed = closed
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
    async def open(cls, addresses: Sequence[pika.ConnectionParameters]) -> ConfirmConnection:
        """Connect to the first of `addresses` that answers. Raise `BrokerUnavailable` when none does."""
        failure = BrokerUnavailable()
        for parameters in shuffled(addresses):
            try:
                return await cls._open(parameters)
            except BrokerUnavailable as exc:
                failure = exc
        raise failure

    @classmethod
    async def _open(cls, parameters: pika.ConnectionParameters) -> ConfirmConnection:
        opened: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()
        closed = asyncio.Event()

        def fail(_connection: Any, error: BaseException) -> None:
            closed.set()
            if not opened.done():
                opened.set_exception(BrokerUnavailable(f"cannot reach the broker: {error!r}"))

        connection = _BufferedConnection(
            parameters,
            on_open_callback=lambda c: c.channel(on_open_callback=partial(_set_result, opened)),
            on_open_error_callback=fail,
            on_close_callback=fail,
        )
        async with _unavailable_after(CONNECT_TIMEOUT_S):
            return cls(connection, await opened, closed)

    @property
    def is_open(self) -> bool:
        return self._failure is None and self._channel.is_open

    async def declare_queue(self, queue: str, arguments: dict[str, Any], *, refresh: bool = False) -> int:
        """Declare `queue` and return how many messages in it are ready.

        Without `refresh`, a queue that was declared before is not declared again, and the result is 0.
        """
        if queue in self._declared and not refresh:
            return 0
        declared: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def on_declared(frame: Any) -> None:
            _set_result(declared, frame.method.message_count)
            self._changed.set()

        self._require_open()
        self._channel.queue_declare(queue, durable=True, arguments=arguments, callback=on_declared)
        await self._wait_until(declared.done)
        self._declared.add(queue)
        return declared.result()

    async def publish(self, queue: str, task_ids: Sequence[int], traceparents: Mapping[int, str]) -> list[int]:
        """Publish a message for each task and return the ids that the broker rejected or did not confirm in time."""
        self._require_open()
        self._unconfirmed.clear()
        self._rejected.clear()
        self._write_messages(queue, task_ids, traceparents)
        try:
            await self._wait_until(lambda: not self._unconfirmed)
        except BrokerUnavailable as exc:
            log.warning("broker.unconfirmed", queue=queue, count=len(self._unconfirmed), error=str(exc))
            self._fail(exc)
        if self._rejected:
            self._declared.discard(queue)  # it was deleted: declare it again
        return [*self._unconfirmed.values(), *self._rejected]

    async def queue_exists(self, queue: str) -> bool:
        """Ask on a channel of its own, because the broker closes the channel if the queue does not exist."""
        reply: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def on_close(_channel: Channel, reason: BaseException) -> None:
            _set_result(reply, getattr(reason, "reply_code", 0) != NOT_FOUND)

        def ask(channel: Channel) -> None:
            channel.add_on_close_callback(on_close)
            channel.queue_declare(queue, passive=True, callback=lambda _: channel.close())

        self._require_open()
        self._connection.channel(on_open_callback=ask)
        async with _unavailable_after(CONFIRM_TIMEOUT_S):
            return await reply

    async def close(self) -> None:
        """Close the connection, and wait up to `CLOSE_TIMEOUT_S` for the server's reply."""
        self._fail(BrokerUnavailable("closed"))
        if self._connection.is_open:
            self._connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._closed.wait()

    def _write_messages(self, queue: str, task_ids: Sequence[int], traceparents: Mapping[int, str]) -> None:
        properties = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent.value)
        for task_id in task_ids:
            properties.message_id = str(task_id)
            body = encode(queue, task_id, traceparents.get(task_id))
            self._channel.basic_publish("", queue, body, properties, mandatory=True)
            self._tag += 1
            self._unconfirmed[self._tag] = task_id

    async def _wait_until(self, is_met: Callable[[], bool]) -> None:
        """Wait until a callback of the channel has brought about `is_met`."""
        async with _unavailable_after(CONFIRM_TIMEOUT_S):
            while not is_met():
                self._require_open()
                self._changed.clear()
                await self._changed.wait()

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


def _set_result(future: asyncio.Future[Result], result: Result) -> None:
    """Do nothing if the future has a result, or if nobody waits for it any more."""
    if not future.done():
        future.set_result(result)


@asynccontextmanager
async def _unavailable_after(timeout_s: float) -> AsyncIterator[None]:
    """Raise `BrokerUnavailable` when the block takes longer than `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError as exc:
        raise BrokerUnavailable("the broker does not answer") from exc
