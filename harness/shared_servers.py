"""The servers of a parallel test run: the controller starts them once, and its workers share them."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from typing import Protocol

import pytest

from harness.memory import memory_directory
from harness.postgres import NON_DURABLE_SETTINGS, running_postgres
from harness.rabbitmq.broker import SMALL_WAL, given_broker, running_rabbitmq
from harness.reaper import Reaper
from harness.shared_addresses import KEY


class WorkerController(Protocol):
    """What pytest-xdist knows of one worker."""

    workerinput: dict[str, object]


class SharedServers:
    """A plugin of the controller."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Give a new worker the addresses."""
        node.workerinput[KEY] = self._addresses

    def pytest_unconfigure(self) -> None:
        self._stack.close()

    @cached_property
    def _addresses(self) -> dict[str, str]:
        reaper = Reaper()
        self._stack.callback(reaper.close)
        postgres = self._stack.enter_context(running_postgres(reaper, NON_DURABLE_SETTINGS, memory_directory()))
        postgres.create_template()
        addresses = {"postgres": postgres.superuser_url}
        if not given_broker():
            try:
                broker = self._stack.enter_context(running_rabbitmq(reaper, SMALL_WAL, memory_directory()))
            except pytest.fail.Exception:  # the tests that need a broker fail with the reason
                return addresses
            addresses |= {"amqp": broker.amqp_url, "management": broker.management.url}
        return addresses


def pytest_configure(config: pytest.Config) -> None:
    """Share servers where pytest-xdist distributes the tests."""
    if getattr(config.option, "tx", None) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SharedServers())
