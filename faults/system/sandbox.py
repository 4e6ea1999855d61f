"""A private durable PostgreSQL and RabbitMQ for all faults, and a sandbox on them for each fault."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from faults.system.databases import DatabaseFactory, OwnDatabase
from harness.postgres import TEMPLATE_DATABASE, PostgresServer, running_postgres
from harness.processes import Services
from harness.rabbitmq.broker import SMALL_WAL, RabbitMQ, running_rabbitmq
from harness.rabbitmq.management import VirtualHost
from harness.reaper import Reaper


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers. A fault may stop or kill them, and starts them again."""

    directory: Path
    postgres: PostgresServer
    rabbitmq: RabbitMQ
    reaper: Reaper


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A database, a virtual host and a directory for one fault. Programs of `services` are killed afterwards."""

    servers: Servers
    directory: Path
    database_url: str
    virtual_host: VirtualHost
    services: Services
    own_database: OwnDatabase | None = None


@contextmanager
def running_servers() -> Iterator[Servers]:
    reaper = Reaper()
    try:
        with tempfile.TemporaryDirectory(prefix="taskcore-faults-", ignore_cleanup_errors=True) as name:
            reaper.watch_directory(Path(name))
            with running_postgres(reaper, {}) as postgres, running_rabbitmq(reaper, SMALL_WAL) as rabbitmq:
                postgres.create_template()
                yield Servers(Path(name), postgres, rabbitmq, reaper)
    finally:
        reaper.close()


@contextmanager
def sandbox(servers: Servers, own_database: DatabaseFactory | None = None) -> Iterator[Sandbox]:
    name = uuid4().hex
    directory = servers.directory / name
    directory.mkdir()
    services = Services(directory, servers.reaper)
    with ExitStack() as stack:
        own = stack.enter_context(own_database(servers.reaper, directory)) if own_database else None
        database_url = own.url if own else stack.enter_context(servers.postgres.fresh_database(TEMPLATE_DATABASE))
        virtual_host = stack.enter_context(servers.rabbitmq.management.virtual_host(name))
        stack.callback(services.kill_all)
        yield Sandbox(servers, directory, database_url, virtual_host, services, own)
