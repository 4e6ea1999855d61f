"""A message is only a hint: duplicate, stale and foreign messages do no harm. Only the test sends messages here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pika
import pytest

from harness.processes import Service
from harness.rabbitmq.management import VirtualHost
from harness.waiting import eventually
from taskcore.messaging.messages import encode
from tests.system.conftest import MakeSystem
from tests.system.system import System


@pytest.fixture(scope="module")
def system(make_system: MakeSystem) -> System:
    """Return a system without a coordinator."""
    system = make_system()
    system.start(coordinators=0)
    return system


@pytest.fixture(scope="module")
def workers(system: System) -> list[Service]:
    return [system.start_worker(processes=1) for _ in range(2)]


@pytest.fixture(autouse=True)
def consumed(workers: list[Service], virtual_host: VirtualHost) -> None:
    eventually(lambda: "default" in virtual_host.queues())


def publish(virtual_host: VirtualHost, *bodies: bytes) -> None:
    with pika.BlockingConnection(pika.URLParameters(virtual_host.amqp_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for body in bodies:
            channel.basic_publish("", "default", body)


def refused(workers: list[Service]) -> float:
    """Return how many messages the workers rejected, by their own count."""
    pages = [httpx.get(f"{worker.url}/metrics", trust_env=False).text for worker in workers]
    lines = [line for page in pages for line in page.splitlines() if line.startswith("taskcore_claims_refused_total")]
    return sum(float(line.split()[-1]) for line in lines)


def test_hundred_copies_of_a_message_start_one_run(
    system: System, workers: list[Service], virtual_host: VirtualHost
) -> None:
    task_ids = system.submit_many(20, "noop")

    publish(virtual_host, *(encode("default", task_id) for task_id in task_ids for _ in range(100)))

    system.wait_for(task_ids)
    eventually(lambda: virtual_host.depth("default") == 0)
    system.assert_each_ran_once(task_ids)


def test_late_copy_starts_nothing(system: System, workers: list[Service], virtual_host: VirtualHost) -> None:
    task_id = system.submit("noop")
    publish(virtual_host, encode("default", task_id))
    system.wait_for(task_id)

    before = refused(workers)
    publish(virtual_host, *[encode("default", task_id)] * 10)
    eventually(lambda: refused(workers) == before + 10)

    system.assert_each_ran_once([task_id])


def test_stale_message_does_not_start_a_scheduled_task(
    system: System, workers: list[Service], virtual_host: VirtualHost
) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    task_id = system.submit("noop", run_at=later.isoformat())

    before = refused(workers)
    publish(virtual_host, encode("default", task_id))
    eventually(lambda: refused(workers) == before + 1)

    assert system.history(task_id) == ["scheduled"]
    assert system.attempts(task_id) == []


def test_stale_message_does_not_start_a_retrying_task(
    system: System, workers: list[Service], virtual_host: VirtualHost
) -> None:
    task_id = system.submit("patient")
    publish(virtual_host, encode("default", task_id))
    system.wait_for(task_id, "retrying")

    before = refused(workers)
    publish(virtual_host, encode("default", task_id))
    eventually(lambda: refused(workers) == before + 1)

    assert system.history(task_id) == ["queued", "running", "retrying"]
    assert len(system.attempts(task_id)) == 1


def test_foreign_message_is_dropped(system: System, workers: list[Service], virtual_host: VirtualHost) -> None:
    bad_ids = [b'{"args": [%s]}' % what for what in (b'"one"', b"0", b"9223372036854775808", b"1e400")]
    publish(virtual_host, b"", b"\xff\x00", b"{}", b'{"options": ' + b"[" * 100_000, *bad_ids)

    task_ids = system.submit_many(10, "noop")
    publish(virtual_host, *(encode("default", task_id) for task_id in task_ids))
    system.wait_for(task_ids)

    eventually(lambda: virtual_host.depth("default") == 0)
    for worker in workers:
        assert "unexpected error" not in worker.log
