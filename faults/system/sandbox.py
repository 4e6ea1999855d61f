"""A private durable PostgreSQL and RabbitMQ for all faults, and a sandbox on them for each fault."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

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
def sandbox(servers: Servers) -> Iterator[Sandbox]:
    name = uuid4().hex
    directory = servers.directory / name
    directory.mkdir()
    services = Services(directory, servers.reaper)
    with (
        servers.postgres.fresh_database(TEMPLATE_DATABASE) as database_url,
        servers.rabbitmq.management.virtual_host(name) as virtual_host,
    ):
        try:
            yield Sandbox(servers, directory, database_url, virtual_host, services)
        finally:
            services.kill_all()
