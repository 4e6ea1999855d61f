"""Queues in RabbitMQ: one that it refuses, one that is deleted, and how many connections they take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pika
import psutil
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from prometheus_client import REGISTRY
from pydantic import SecretStr
from structlog.testing import capture_logs

from harness.rabbitmq.management import VirtualHost
from taskcore.messaging.addresses import connection_parameters
from taskcore.messaging.messages import encode
from taskcore.messaging.publisher import RabbitPublisher
from taskcore.messaging.queue_channel import FIRST_RETRY_S
from taskcore.messaging.rabbit_transport import RESUMED_AT_ONCE, RabbitTransport
from taskcore.messaging.transports import Delivery, ServedQueues
from taskcore.settings import Settings
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskcore.messaging.worker_harness import RabbitHarness


@pytest.fixture
async def harness(db: DatabaseHarness, virtual_host: VirtualHost) -> AsyncIterator[RabbitHarness]:
    harness = RabbitHarness(db, virtual_host.amqp_url, "quorum")
    yield harness
    await harness.close()


@contextmanager
def channel_to(host: VirtualHost) -> Iterator[BlockingChannel]:
    with pika.BlockingConnection(pika.URLParameters(host.amqp_url)) as connection:
        yield connection.channel()


def connections_to(host: VirtualHost) -> int:
    port = pika.URLParameters(host.amqp_url).port
    return sum(getattr(one.raddr, "port", None) == port for one in psutil.Process().net_connections("tcp"))


def declare_with_other_arguments(host: VirtualHost, queue: str) -> None:
    with channel_to(host) as channel:
        channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "classic"})


async def until_ready(harness: RabbitHarness, queue: str) -> None:
    async with asyncio.timeout(60):
        while not harness.publisher.is_ready(queue):  # noqa: ASYNC110  # it declares in this loop
            await asyncio.sleep(0.01)


async def test_a_process_consumes_many_queues_over_one_connection(
    harness: RabbitHarness, virtual_host: VirtualHost
) -> None:
    names = [f"queue-{number}" for number in range(20)]
    for name in names:
        await harness.submit(queue=name)

    harness.start_service(*names)

    await harness.until(lambda: harness.count("succeeded") == len(names))
    assert connections_to(virtual_host) == 2  # the consumer's and the publisher's


async def test_a_queue_with_other_arguments_harms_no_other_queue(
    harness: RabbitHarness, virtual_host: VirtualHost
) -> None:
    declare_with_other_arguments(virtual_host, "other")
    harness.start_service("default", "other")

    refused = harness.database.submit(new_task(queue="other"))
    assert await harness.publisher.publish("other", refused) == refused
    await harness.submit(10)

    await harness.until(lambda: harness.count("succeeded") == 10)
    assert not harness.publisher.is_ready("other")
    assert harness.publisher.is_ready("default")
    assert REGISTRY.get_sample_value("taskcore_queues_refused") == 1


async def test_a_refused_queue_is_served_once_it_has_been_deleted(
    harness: RabbitHarness, virtual_host: VirtualHost
) -> None:
    declare_with_other_arguments(virtual_host, "other")
    harness.start_service("other")
    task_ids = harness.database.submit(new_task(queue="other"))
    assert await harness.publisher.publish("other", task_ids) == task_ids

    virtual_host.delete("other")
    await until_ready(harness, "other")
    await harness.send(task_ids, "other")

    await harness.until(lambda: harness.count("succeeded") == 1)
    assert REGISTRY.get_sample_value("taskcore_queues_refused") == 0


async def test_a_refused_queue_that_nobody_asks_for_does_not_count(
    harness: RabbitHarness, virtual_host: VirtualHost
) -> None:
    declare_with_other_arguments(virtual_host, "other")
    harness.publisher = RabbitPublisher(harness.settings, forget_after_s=0)
    refused = harness.database.submit(new_task(queue="other"))
    assert await harness.publisher.publish("other", refused) == refused
    assert REGISTRY.get_sample_value("taskcore_queues_refused") == 1

    await harness.until(lambda: REGISTRY.get_sample_value("taskcore_queues_refused") == 0)


async def test_an_unused_queue_is_deleted(harness: RabbitHarness, virtual_host: VirtualHost) -> None:
    (task_id,) = await harness.submit()
    assert not await harness.publisher.delete_queue("default")  # it has a message

    service = harness.start_service()
    await harness.until(lambda: harness.database.status(task_id) == "succeeded")
    assert not await harness.publisher.delete_queue("default")  # it has a consumer
    assert virtual_host.exists("default")

    await harness.stop(service)
    assert await harness.publisher.delete_queue("default")
    assert not virtual_host.exists("default")
    assert await harness.publisher.delete_queue("default")


async def test_a_queue_that_was_deleted_is_made_again_by_the_next_task(
    harness: RabbitHarness, virtual_host: VirtualHost
) -> None:
    (task_id,) = await harness.submit()
    service = harness.start_service()
    await harness.until(lambda: harness.database.status(task_id) == "succeeded")
    await harness.stop(service)
    assert await harness.publisher.delete_queue("default")

    await harness.submit()

    harness.start_service()
    await harness.until(lambda: harness.count("succeeded") == 2)


async def test_a_new_queue_becomes_ready_without_a_message(harness: RabbitHarness, virtual_host: VirtualHost) -> None:
    assert await harness.publisher.connect()
    assert not harness.publisher.is_ready("new")

    await until_ready(harness, "new")

    assert virtual_host.exists("new")


def test_a_queue_that_may_be_declared_and_not_read_is_refused_once(virtual_host: VirtualHost) -> None:
    virtual_host.permit(read="^$")
    addresses = connection_parameters(Settings(amqp_url=SecretStr(virtual_host.amqp_url)))
    transport = RabbitTransport(addresses, ServedQueues(["default"]), {}, prefetch=1)

    with capture_logs() as logs:
        transport.process_events(2 * FIRST_RETRY_S)

    assert [line["event"] for line in logs] == ["queue.refused"]
    transport.close()


def test_each_requeued_queue_gets_its_turn_however_full_the_others_are(virtual_host: VirtualHost) -> None:
    names = [f"queue-{number}" for number in range(RESUMED_AT_ONCE + 4)]
    with channel_to(virtual_host) as channel:
        for name in names:
            channel.queue_declare(name, durable=True)
            for task_id in range(1, 31):
                channel.basic_publish("", name, encode(name, task_id))
    addresses = connection_parameters(Settings(amqp_url=SecretStr(virtual_host.amqp_url)))
    transport = RabbitTransport(addresses, ServedQueues(names), {}, prefetch=4)
    deliveries: list[Delivery] = []
    while {delivery.queue for delivery in deliveries} != set(names):
        deliveries += transport.receive(len(names), 1)
    transport.requeue(deliveries)

    served = set()
    for _ in range(100):
        (delivery,) = transport.receive(1, 10)
        transport.acknowledge([delivery], multiple=False)
        served.add(delivery.queue)

    assert served == set(names)
    transport.close()
