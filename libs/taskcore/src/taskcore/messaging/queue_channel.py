"""The channel of one queue on a connection that consumes many.

A queue that RabbitMQ refuses, because it exists with other arguments or its node is down, costs its channel only. The
channel is opened again after a pause that grows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pika
import structlog
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker, NoFreeChannels

from taskcore.domain.backoff import Backoff
from taskcore.messaging.messages import decode
from taskcore.messaging.transports import Delivery

#: Replies that stay the same until a person changes something. Others pass, as those of a node that is starting.
LASTING_REFUSALS = frozenset({403, 405, 406})
FIRST_RETRY_S = 1.0
MAX_RETRY_S = 60.0
QUICK_RETRY_S = 0.5

log = structlog.stdlib.get_logger(__name__)


class QueueChannel:
    """Declares `queue` and consumes it, with at most `prefetch` unacknowledged messages, unless it `is_paused`.

    It `is_opening` until the broker has answered the first declaration. Messages gather in `inbox`; `on_delivery` is
    called for the first one. Everything happens in callbacks of the connection's loop, so that no queue waits for
    another.
    """

    def __init__(
        self,
        connection: pika.SelectConnection,
        queue: str,
        arguments: dict[str, Any],
        prefetch: int,
        on_delivery: Callable[[QueueChannel], None],
    ) -> None:
        self.queue = queue
        self.inbox: deque[Delivery] = deque()
        self.is_paused = False
        self._connection = connection
        self._arguments = arguments
        self._prefetch = prefetch
        self._on_delivery = on_delivery
        self._backoff = Backoff(FIRST_RETRY_S, MAX_RETRY_S)
        self._refusal = ""
        self.is_opening = True
        self._is_closed = False
        self._channel: Channel | None = None
        self._is_declared = False
        self._consumer_tag: str | None = None
        self._open()

    def pause(self) -> None:
        """Stop consuming. What arrives meanwhile goes back to the queue."""
        self.is_paused = True
        if self._channel is not None and self._consumer_tag is not None and self._channel.is_open:
            self._channel.basic_cancel(self._consumer_tag, callback=lambda _frame: None)
        self._consumer_tag = None

    def resume(self) -> None:
        self.is_paused = False
        if self._is_declared and self._consumer_tag is None:
            self._consume()

    def close(self) -> None:
        """Close the channel: the broker requeues what is not acknowledged."""
        self._is_closed = True
        self.inbox.clear()
        if self._channel is not None and self._channel.is_open:
            self._channel.close()

    def _open(self) -> None:
        if self._is_closed or not self._connection.is_open:
            return
        try:
            self._connection.channel(on_open_callback=self._on_open)
        except NoFreeChannels:
            self.is_opening = False
            self._retry_later("the connection has no free channel")

    def _on_open(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_close)
        channel.add_on_cancel_callback(lambda _frame: self._declare())  # the queue was deleted
        if self._is_closed:
            channel.close()
            return
        channel.basic_qos(prefetch_count=self._prefetch)
        self._declare()

    def _declare(self) -> None:
        assert self._channel is not None
        self._is_declared, self._consumer_tag = False, None
        self._channel.queue_declare(self.queue, durable=True, arguments=self._arguments, callback=self._on_declared)

    def _on_declared(self, _frame: Any) -> None:
        self._is_declared, self.is_opening = True, False
        if not self.is_paused:
            self._consume()

    def _consume(self) -> None:
        assert self._channel is not None
        if self._channel.is_open:
            self._consumer_tag = self._channel.basic_consume(self.queue, self._on_message, callback=self._on_consuming)

    def _on_consuming(self, _frame: Any) -> None:
        self._backoff.reset()
        if self._refusal:
            log.info("queue.accepted", queue=self.queue)
            self._refusal = ""

    def _on_message(self, channel: Channel, method: Any, _properties: Any, body: bytes) -> None:
        self.inbox.append(Delivery(method.delivery_tag, *decode(body), self.queue, channel))
        if len(self.inbox) == 1:
            self._on_delivery(self)

    def _on_close(self, _channel: Channel, reason: BaseException) -> None:
        self._channel, self._is_declared, self._consumer_tag, self.is_opening = None, False, None, False
        self.inbox.clear()
        if isinstance(reason, ChannelClosedByBroker):
            if reason.reply_code in LASTING_REFUSALS:
                self._retry_later(reason.reply_text)
            else:
                log.debug("queue.lost", queue=self.queue, error=reason.reply_text)
                self._connection.ioloop.call_later(QUICK_RETRY_S, self._open)

    def _retry_later(self, refusal: str) -> None:
        if refusal != self._refusal:
            self._refusal = refusal
            log.error("queue.refused", queue=self.queue, error=refusal)
        self._connection.ioloop.call_later(self._backoff.next_s(), self._open)
