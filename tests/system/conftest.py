"""Module-scoped fixtures: the tests of a module share one system, with a private database and virtual host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from harness.postgres import PostgresDatabases
from harness.processes import Services
from harness.rabbitmq.management import ManagementApi, VirtualHost
from harness.reaper import Reaper
from tests.system.system import System

MakeSystem = Callable[..., System]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, reaper: Reaper) -> Iterator[Services]:
    """Yield a starter of Taskcore's programs. A failed test shows the ends of their logs."""
    services = Services(tmp_path_factory.mktemp("services"), reaper)
    yield services
    services.kill_all()


@pytest.fixture(scope="module")
def database_url(postgres_server: PostgresDatabases, template: str) -> Iterator[str]:
    with postgres_server.fresh_database(template) as url:
        yield url


@pytest.fixture(scope="module")
def virtual_host(rabbitmq_management: ManagementApi) -> Iterator[VirtualHost]:
    with rabbitmq_management.virtual_host(f"test_{uuid4().hex}") as virtual_host:
        yield virtual_host


@pytest.fixture(scope="module")
def make_system(services: Services, database_url: str, virtual_host: VirtualHost) -> Iterator[MakeSystem]:
    """Yield a factory of systems with the settings `env`. Their processes are not started yet."""
    with ExitStack() as made:

        def make(env: Mapping[str, str] | None = None) -> System:
            system = System(services, database_url, virtual_host.amqp_url, env or {})
            made.callback(system.close)
            return system

        yield make


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Return a path that does not exist: tasks of type `gated` end when it appears."""
    return tmp_path / "gate"
