"""The servers of the benchmark: a durable PostgreSQL with the schema, a RabbitMQ with two virtual hosts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.processes import Services
from harness.rabbitmq.broker import running_rabbitmq
from harness.reaper import Reaper
from taskcore.db import migrations
from taskstandalone.postgres.embedded_postgres import EmbeddedPostgres


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers, and `services` to start programs. All of them end with the benchmark process."""

    directory: Path
    database_url: str
    superuser_url: str
    dramatiq_amqp_url: str
    taskcore_amqp_url: str
    postgres: psutil.Process
    rabbitmq: psutil.Process
    services: Services


@contextmanager
def running_servers() -> Iterator[Servers]:
    reaper = Reaper()
    try:
        with tempfile.TemporaryDirectory(prefix="taskcore-bench-", ignore_cleanup_errors=True) as name:
            directory = Path(name)
            reaper.watch_directory(directory)
            with _postgres(directory / "postgres", reaper) as postgres, running_rabbitmq(reaper) as rabbitmq:
                management = rabbitmq.management
                node = psutil.Process(int(rabbitmq.rabbitmqctl("eval", "os:getpid().").strip().strip('"')))
                services = Services(directory, reaper)
                with management.virtual_host("dramatiq") as bare, management.virtual_host("taskcore") as own:
                    try:
                        yield Servers(
                            directory,
                            postgres.url,
                            postgres.superuser_url,
                            bare.amqp_url,
                            own.amqp_url,
                            psutil.Process(postgres.pid),
                            node,
                            services,
                        )
                    finally:
                        services.kill_all()
    finally:
        reaper.close()


@contextmanager
def _postgres(data_dir: Path, reaper: Reaper) -> Iterator[EmbeddedPostgres]:
    """Run PostgreSQL as `taskcore-standalone` does: with fsync and synchronous commits."""
    with EmbeddedPostgres(data_dir) as postgres:
        assert postgres.pid is not None
        reaper.watch_group(postgres.pid)
        migrations.upgrade(postgres.url)
        yield postgres
        reaper.forget_group(postgres.pid)
