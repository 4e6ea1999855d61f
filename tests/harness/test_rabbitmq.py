"""The private and the shared broker behave as the tests that use them expect."""

from __future__ import annotations

import pika
import pytest

from harness.rabbitmq.broker import RabbitMQ
from harness.rabbitmq.management import ManagementApi, VirtualHost
from harness.waiting import eventually


def publish(amqp_url: str, queue: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(queue, durable=True)
        channel.basic_publish("", queue, b"kept", pika.BasicProperties(delivery_mode=2))


def test_virtual_hosts_do_not_share_queues(rabbitmq_management: ManagementApi, virtual_host: VirtualHost) -> None:
    publish(virtual_host.amqp_url, "mine")

    with rabbitmq_management.virtual_host("another") as another:
        assert virtual_host.queues() == {"mine"}
        assert another.queues() == set()


def test_purged_queue_is_empty(virtual_host: VirtualHost) -> None:
    publish(virtual_host.amqp_url, "mine")
    assert virtual_host.depth("mine") == 1

    virtual_host.purge("mine")

    assert virtual_host.depth("mine") == 0


def test_client_notices_that_its_connection_was_closed(virtual_host: VirtualHost) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(virtual_host.amqp_url))

    def is_closed() -> bool:
        virtual_host.close_connections()
        try:
            connection.process_data_events(0)
        except pika.exceptions.AMQPError:
            return True
        return False

    assert eventually(is_closed)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_restarted_broker_keeps_durable_messages(private_rabbitmq: RabbitMQ, end: str) -> None:
    with private_rabbitmq.management.virtual_host("kept") as virtual_host:
        publish(virtual_host.amqp_url, "mine")

        getattr(private_rabbitmq, end)()
        private_rabbitmq.start()

        assert virtual_host.depth("mine") == 1


def test_rabbitmqctl_commands_work(private_rabbitmq: RabbitMQ) -> None:
    assert "guest" in private_rabbitmq.rabbitmqctl("list_users")
