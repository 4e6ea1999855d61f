"""Real RabbitMQ for tests: one broker a session, one virtual host a test.

The broker is the one at `TASKCORE_TEST_AMQP_URL`, or a node from this machine's `rabbitmq-server`, or a container.
Where there is none of these, tests that need it fail.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pytest

from harness.rabbitmq.container import RabbitMQContainer, docker_engine
from harness.rabbitmq.management import ManagementApi, VirtualHost
from harness.rabbitmq.node import RabbitMQNode, find_rabbitmq_bin
from harness.reaper import Reaper

MISSING_BROKER_HELP = (
    "These tests need a RabbitMQ. Install rabbitmq-server (`make test` does so as root on Debian), or start a docker "
    "engine, or name a broker with the management plugin in TASKCORE_TEST_AMQP_URL."
)


class RabbitMQ(Protocol):
    """A broker that a test may stop, kill and start again. Ports and what is durable stay the same."""

    @property
    def amqp_url(self) -> str:
        """The URL of the virtual host `/`."""

    @property
    def management(self) -> ManagementApi: ...

    def start(self) -> None:
        """Returns when it takes connections."""

    def stop(self) -> None:
        """In order. Does nothing when it is stopped already."""

    def kill(self) -> None:
        """SIGKILL."""

    def rabbitmqctl(self, *arguments: str) -> str:
        """What `rabbitmqctl` prints for these arguments."""


@contextmanager
def running_rabbitmq(reaper: Reaper, erlang_arguments: str = "") -> Iterator[RabbitMQ]:
    with tempfile.TemporaryDirectory(prefix="taskcore-test-", ignore_cleanup_errors=True) as directory:
        reaper.watch_directory(Path(directory))
        broker: RabbitMQ
        if programs := find_rabbitmq_bin():
            broker = RabbitMQNode(programs, Path(directory), reaper, erlang_arguments)
        elif engine := docker_engine():
            broker = RabbitMQContainer(engine, reaper, erlang_arguments)
        else:
            pytest.fail(MISSING_BROKER_HELP, pytrace=False)
        try:
            broker.start()
            yield broker
        finally:
            broker.kill()
            broker.management.close()


@pytest.fixture(scope="session")
def rabbitmq_management(reaper: Reaper) -> Iterator[ManagementApi]:
    """The session's broker, as its management interface. Tests do not stop this one."""
    if given := os.environ.get("TASKCORE_TEST_AMQP_URL"):
        with closing(ManagementApi(given, os.environ.get("TASKCORE_TEST_RABBITMQ_MANAGEMENT_URL"))) as management:
            yield management
    else:
        with running_rabbitmq(reaper) as broker:
            yield broker.management


@pytest.fixture
def virtual_host(rabbitmq_management: ManagementApi) -> Iterator[VirtualHost]:
    """A virtual host of the test's own: it sees no other test's queues."""
    with rabbitmq_management.virtual_host(f"test_{uuid4().hex}") as virtual_host:
        yield virtual_host


@pytest.fixture
def amqp_url(virtual_host: VirtualHost) -> str:
    """The URL of a virtual host of the test's own."""
    return virtual_host.amqp_url


@pytest.fixture
def private_rabbitmq(reaper: Reaper) -> Iterator[RabbitMQ]:
    """A broker of the test's own, to be stopped and killed."""
    with running_rabbitmq(reaper) as broker:
        yield broker
