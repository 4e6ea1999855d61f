"""A worker's presence in RabbitMQ."""

from __future__ import annotations

import pika
from pika.exceptions import ChannelClosedByBroker

from harness.rabbitmq.management import VirtualHost
from harness.waiting import eventually
from taskcore.messaging.presence import Presence, presence_queue

WORKER = 7
NOT_FOUND, RESOURCE_LOCKED = 404, 405


def reply_to_others(host: VirtualHost) -> int:
    with pika.BlockingConnection(pika.URLParameters(host.amqp_url)) as connection:
        try:
            connection.channel().queue_declare(presence_queue(WORKER), passive=True)
        except ChannelClosedByBroker as exc:
            return int(exc.reply_code)
        return 0


def test_a_queue_that_a_policy_deletes_is_declared_again(virtual_host: VirtualHost) -> None:
    presence = Presence([pika.URLParameters(virtual_host.amqp_url)], WORKER)
    presence.start()
    eventually(lambda: reply_to_others(virtual_host) == RESOURCE_LOCKED)

    with virtual_host.policy("^worker", expires=1):
        eventually(lambda: reply_to_others(virtual_host) == NOT_FOUND)

    eventually(lambda: reply_to_others(virtual_host) == RESOURCE_LOCKED)
    assert presence.is_connected
    presence.stop()


def test_an_unexpected_error_does_not_end_the_presence(virtual_host: VirtualHost) -> None:
    parameters = FailingParameters(virtual_host.amqp_url)
    presence = Presence([parameters], WORKER)

    presence.start()

    eventually(lambda: presence.is_connected)
    assert parameters.errors == []
    presence.stop()


class FailingParameters(pika.URLParameters):  # type: ignore[misc]  # pika has no types
    """The first connection fails, as in a process that may start no more threads."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url
        self.errors = [RuntimeError("can't start new thread")]

    def __deepcopy__(self, memo: object) -> pika.URLParameters:
        """Called when a connection copies its parameters."""
        if self.errors:
            raise self.errors.pop()
        return pika.URLParameters(self.url)
