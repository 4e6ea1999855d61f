"""The relay's connection to RabbitMQ: a channel in confirm mode, on pika's asyncio connection."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pika
import structlog
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel
from pika.exceptions import AMQPError, ChannelClosedByBroker

from taskcore.errors import BrokerUnavailable, QueueRefused
from taskcore.messaging.addresses import CONNECT_TIMEOUT_S, shuffled
from taskcore.messaging.buffered_connection import BufferedConnection
from taskcore.messaging.messages import encode
from taskcore.messaging.queue_channel import LASTING_REFUSALS

CONFIRM_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
NOT_FOUND = 404

log = structlog.stdlib.get_logger(__name__)


@dataclass(eq=False)
class _Batch:
    """Messages of one call of `publish`, and how many of them the broker has not confirmed yet."""

    unconfirmed: int
    rejected: set[int] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class ConfirmConnection:
    """A connection for any number of calls at once. When it has closed, every method raises `BrokerUnavailable`."""

    def __init__(self, connection: AsyncioConnection, channel: Channel, closed: asyncio.Event) -> None:
        self._connection = connection
        self._channel = channel
        self.opened_at = time.monotonic()
        self._closed = closed
        self._declared: set[str] = set()
        self._tag = 0
        self._unconfirmed: dict[int, tuple[_Batch, int]] = {}  # by tag, in the order of tags
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

        connection = BufferedConnection(
            parameters,
            on_open_callback=lambda c: c.channel(on_open_callback=partial(_set_result, opened)),
            on_open_error_callback=fail,
            on_close_callback=fail,
        )
        try:
            async with _unavailable_after(CONNECT_TIMEOUT_S):
                return cls(connection, await opened, closed)
        except BaseException:
            if not (connection.is_closing or connection.is_closed):
                connection.close()  # it would open later, and stay open unused
            raise

    @property
    def is_open(self) -> bool:
        return self._failure is None and self._channel.is_open

    def has_declared(self, queue: str) -> bool:
        return self.is_open and queue in self._declared

    async def declare_queue(self, queue: str, arguments: dict[str, Any]) -> None:
        """Declare `queue`, unless it was declared before. Raise `QueueRefused` when the broker does not want it."""
        if queue not in self._declared:
            await self._declare(queue, arguments)
            self._declared.add(queue)

    async def count_ready(self, queue: str, arguments: dict[str, Any]) -> int:
        """Declare `queue` and return how many messages in it are ready. Raise `QueueRefused` as `declare_queue`."""
        method = await self._declare(queue, arguments)
        return int(method.message_count)

    async def publish(self, queue: str, task_ids: Sequence[int], traceparents: Mapping[int, str]) -> list[int]:
        """Publish a message for each task and return the ids that the broker rejected or did not confirm in time."""
        self._require_open()
        batch = _Batch(len(task_ids))
        self._write_messages(batch, queue, task_ids, traceparents)
        try:
            async with _unavailable_after(CONFIRM_TIMEOUT_S):
                while batch.unconfirmed:
                    self._require_open()
                    batch.changed.clear()
                    await batch.changed.wait()
        except BrokerUnavailable as exc:
            log.warning("broker.unconfirmed", queue=queue, count=batch.unconfirmed, error=str(exc))
            self._fail(exc)
        if batch.rejected:
            self._declared.discard(queue)  # it was deleted: declare it again
        return [*(task_id for of, task_id in self._unconfirmed.values() if of is batch), *batch.rejected]

    async def queue_exists(self, queue: str) -> bool:
        reply = await self._ask(lambda channel, reply: channel.queue_declare(queue, passive=True, callback=reply))
        return getattr(reply, "reply_code", 0) != NOT_FOUND

    async def delete_unused(self, queue: str) -> bool:
        """Delete `queue` if it has neither messages nor consumers. Return whether it does not exist any more.

        Not by `if_unused` and `if_empty`, which RabbitMQ does not implement for quorum queues. A message that arrives
        in between is lost, which loses no task.
        """
        reply = await self._ask(lambda channel, reply: channel.queue_declare(queue, passive=True, callback=reply))
        if isinstance(reply, BaseException):
            return getattr(reply, "reply_code", 0) == NOT_FOUND
        if reply.message_count or reply.consumer_count:
            return False
        self._declared.discard(queue)
        reply = await self._ask(lambda channel, reply: channel.queue_delete(queue, callback=reply))
        return not isinstance(reply, BaseException)

    async def close(self) -> None:
        """Close the connection, and wait up to `CLOSE_TIMEOUT_S` for the server's reply."""
        self._fail(BrokerUnavailable("closed"))
        if self._connection.is_open:
            self._connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._closed.wait()

    async def _declare(self, queue: str, arguments: dict[str, Any]) -> Any:
        reply = await self._ask(
            lambda channel, reply: channel.queue_declare(queue, durable=True, arguments=arguments, callback=reply)
        )
        if isinstance(reply, ChannelClosedByBroker) and reply.reply_code in LASTING_REFUSALS:
            raise QueueRefused(reply.reply_text)
        if isinstance(reply, BaseException):
            raise BrokerUnavailable(f"the channel is closed: {reply!r}")
        return reply

    async def _ask(self, ask: Callable[[Channel, Callable[[Any], None]], Any]) -> Any:
        """Return the method of the reply, or the error with which the broker closed the channel.

        Each question has a channel of its own, because a refusal closes it.
        """
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def on_open(channel: Channel) -> None:
            def on_reply(frame: Any) -> None:
                _set_result(reply, frame.method)
                if channel.is_open:
                    channel.close()

            channel.add_on_close_callback(lambda _channel, reason: _set_result(reply, reason))
            ask(channel, on_reply)

        self._require_open()
        async with _unavailable_after(CONFIRM_TIMEOUT_S):
            self._connection.channel(on_open_callback=on_open)
            return await reply

    def _write_messages(
        self, batch: _Batch, queue: str, task_ids: Sequence[int], traceparents: Mapping[int, str]
    ) -> None:
        properties = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent.value)
        for task_id in task_ids:
            properties.message_id = str(task_id)
            body = encode(queue, task_id, traceparents.get(task_id))
            self._channel.basic_publish("", queue, body, properties, mandatory=True)
            self._tag += 1
            self._unconfirmed[self._tag] = batch, task_id

    def _require_open(self) -> None:
        if not self.is_open:
            raise BrokerUnavailable(f"the channel is closed: {self._failure!r}")

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        is_ack = isinstance(method, pika.spec.Basic.Ack)
        for tag in self._confirmed_tags(method):
            confirmed = self._unconfirmed.pop(tag, None)
            if confirmed is None:
                continue
            batch, task_id = confirmed
            if not is_ack:
                batch.rejected.add(task_id)
            batch.unconfirmed -= 1
            if not batch.unconfirmed:
                batch.changed.set()

    def _confirmed_tags(self, method: Any) -> list[int]:
        if not method.multiple:
            return [method.delivery_tag]
        return list(itertools.takewhile(lambda tag: tag <= method.delivery_tag, self._unconfirmed))

    def _on_return(self, _channel: Any, _method: Any, properties: pika.BasicProperties, _body: bytes) -> None:
        """The queue does not exist. The confirm of the message is still to come."""
        returned = int(properties.message_id or 0)
        for batch, task_id in self._unconfirmed.values():
            if task_id == returned:
                batch.rejected.add(task_id)

    def _fail(self, reason: BaseException) -> None:
        self._failure = self._failure or reason
        for batch in {batch for batch, _ in self._unconfirmed.values()}:
            batch.changed.set()


def _set_result(future: asyncio.Future[Any], result: Any) -> None:
    """Do nothing if the future has a result, or if nobody waits for it any more."""
    if not future.done():
        future.set_result(result)


@asynccontextmanager
async def _unavailable_after(timeout_s: float) -> AsyncIterator[None]:
    """Raise `BrokerUnavailable` when the block takes longer than `timeout_s`, or no channel can be opened in it."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except (TimeoutError, AMQPError) as exc:
        raise BrokerUnavailable(f"the broker does not answer: {exc!r}") from exc
