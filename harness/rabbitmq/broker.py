"""Real RabbitMQ for tests: one broker per session and one virtual host per test.

The broker is the one at `TASKCORE_TEST_AMQP_URL`, else a node of the installed `rabbitmq-server`, else a container.
Without any of them, tests that need a broker fail.
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

from harness.memory import memory_directory
from harness.rabbitmq.container import RabbitMQContainer, docker_engine
from harness.rabbitmq.management import ManagementApi, VirtualHost
from harness.rabbitmq.node import RabbitMQNode, find_rabbitmq_bin
from harness.reaper import Reaper
from harness.shared_addresses import shared_addresses

MISSING_BROKER_HELP = (
    "These tests need RabbitMQ. Install rabbitmq-server (`make test` does so as root on Debian), start a Docker "
    "engine, or set TASKCORE_TEST_AMQP_URL to a broker with the management plugin."
)

#: RabbitMQ keeps the write-ahead log of its quorum queues in memory too, 512 MiB by default: its memory would grow for
#: minutes, whatever the queues contain.
SMALL_WAL = "-ra wal_max_size_bytes 16777216"


class RabbitMQ(Protocol):
    """A broker that a test may stop, kill and restart. Its ports and durable data stay the same."""

    @property
    def amqp_url(self) -> str:
        """The URL of the virtual host `/`."""

    @property
    def management(self) -> ManagementApi: ...

    def start(self) -> None:
        """Start the broker and wait until it accepts connections."""

    def stop(self) -> None:
        """Stop the broker gracefully; do nothing when it is already stopped."""

    def kill(self) -> None:
        """Send SIGKILL to the broker."""

    def rabbitmqctl(self, *arguments: str) -> str:
        """Return the output of `rabbitmqctl` with these arguments."""


@contextmanager
def running_rabbitmq(reaper: Reaper, erlang_arguments: str = "", parent: str | None = None) -> Iterator[RabbitMQ]:
    """Run a broker with its data in a new directory in `parent`, by default on the disk."""
    with tempfile.TemporaryDirectory(prefix="taskcore-test-", dir=parent, ignore_cleanup_errors=True) as directory:
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


def given_broker() -> tuple[str, str | None] | None:
    """Return the AMQP URL and the management URL of the broker named by the environment, if any."""
    amqp_url = os.environ.get("TASKCORE_TEST_AMQP_URL")
    return (amqp_url, os.environ.get("TASKCORE_TEST_RABBITMQ_MANAGEMENT_URL")) if amqp_url else None


@pytest.fixture(scope="session")
def rabbitmq_management(request: pytest.FixtureRequest, reaper: Reaper) -> Iterator[ManagementApi]:
    """Yield the management API of the run's broker, which tests do not stop."""
    shared = shared_addresses(request.config)
    addresses = (shared["amqp"], shared["management"]) if "amqp" in shared else given_broker()
    if addresses:
        with closing(ManagementApi(*addresses)) as management:
            yield management
    else:
        with running_rabbitmq(reaper, SMALL_WAL, memory_directory()) as broker:
            yield broker.management


@pytest.fixture
def virtual_host(rabbitmq_management: ManagementApi) -> Iterator[VirtualHost]:
    """Yield a private virtual host, which has no queues of other tests."""
    with rabbitmq_management.virtual_host(f"test_{uuid4().hex}") as virtual_host:
        yield virtual_host


@pytest.fixture
def amqp_url(virtual_host: VirtualHost) -> str:
    """Return the URL of the test's private virtual host."""
    return virtual_host.amqp_url


@pytest.fixture
def private_rabbitmq(reaper: Reaper) -> Iterator[RabbitMQ]:
    """Yield a private broker, which the test may stop and kill."""
    with running_rabbitmq(reaper, SMALL_WAL, memory_directory()) as broker:
        yield broker
