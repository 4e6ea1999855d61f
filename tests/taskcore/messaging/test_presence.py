"""A worker's presence in RabbitMQ."""

from __future__ import annotations

import pika
from pika.exceptions import ChannelClosedByBroker

from harness.rabbitmq.management import VirtualHost
from harness.waiting import eventually
from taskcore.messaging.presence import Presence, presence_queue

WORKER = 7
GONE, OF_ANOTHER = 404, 405


def seen_by_others(host: VirtualHost) -> int:
    with pika.BlockingConnection(pika.URLParameters(host.amqp_url)) as connection:
        try:
            connection.channel().queue_declare(presence_queue(WORKER), passive=True)
        except ChannelClosedByBroker as exc:
            return int(exc.reply_code)
        return 0


def test_a_healthy_worker_whose_queue_had_expired_was_taken_for_dead(virtual_host: VirtualHost) -> None:
    presence = Presence(pika.URLParameters(virtual_host.amqp_url), WORKER)
    presence.start()
    eventually(lambda: seen_by_others(virtual_host) == OF_ANOTHER)

    with virtual_host.policy("^worker", expires=1):
        eventually(lambda: seen_by_others(virtual_host) == GONE)

    eventually(lambda: seen_by_others(virtual_host) == OF_ANOTHER)
    assert presence.is_connected
    presence.stop()


def test_an_error_that_nobody_foresaw_ended_it_while_it_called_itself_open(virtual_host: VirtualHost) -> None:
    parameters = UnluckyParameters(virtual_host.amqp_url)
    presence = Presence(parameters, WORKER)

    presence.start()

    eventually(lambda: presence.is_connected)
    assert parameters.errors == []
    presence.stop()


class UnluckyParameters(pika.URLParameters):  # type: ignore[misc]  # pika has no types
    """The first connection that is made with them fails as in a process that may have no more threads."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url
        self.errors = [RuntimeError("can't start new thread")]

    def __deepcopy__(self, memo: object) -> pika.URLParameters:
        """The connection takes a copy for itself."""
        if self.errors:
            raise self.errors.pop()
        return pika.URLParameters(self.url)
