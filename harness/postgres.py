"""Real PostgreSQL for tests: one server per session and one database per test, copied from a migrated template."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal
from uuid import uuid4

import psutil
import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from harness.memory import memory_directory
from harness.postgres_cluster import PostgresCluster, debian_binaries
from harness.reaper import Reaper
from harness.shared_addresses import shared_addresses
from taskcore.db import migrations
from taskstandalone.postgres.embedded_postgres import EmbeddedPostgres

NON_DURABLE_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "400", "max_wal_size": "256MB"}
#: `debian`: the tests of this run use the oldest PostgreSQL that Debian has installed, not the bundled one.
WHICH_VARIABLE = "TASKCORE_TEST_POSTGRES"
TEMPLATE_DATABASE = "taskcore_template"


class PostgresDatabases:
    """A running server, for creating databases on it."""

    def __init__(self, url: str = "") -> None:
        self.url = url

    def url_of(self, name: str) -> str:
        """Return the URL of another database on this server."""
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    @contextmanager
    def fresh_database(self, template: str = "template0") -> Iterator[str]:
        """Yield the URL of a new database. It is dropped afterwards, and remaining connections are closed.

        Copying files is several times faster than the default, which writes the copy to the WAL.
        """
        name = f"test_{uuid4().hex}"
        self._execute("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template)
        try:
            yield self.url_of(name)
        finally:
            self._execute("DROP DATABASE {} WITH (FORCE)", name)

    def create_template(self) -> str:
        """Create the database with the schema that `fresh_database` copies, and return its name."""
        self._execute("CREATE DATABASE {}", TEMPLATE_DATABASE)
        migrations.upgrade(self.url_of(TEMPLATE_DATABASE))
        return TEMPLATE_DATABASE

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


class PostgresServer(PostgresDatabases):
    """A private cluster in a temporary directory that a test may stop, crash and restart."""

    def __init__(self, data_dir: Path, reaper: Reaper, settings: dict[str, str]) -> None:
        super().__init__()
        self._postgres = _server(data_dir, reaper, settings)
        self._reaper = reaper

    def start(self) -> str:
        """Start the server and return its URL, which is the same after each start."""
        self.url = self._postgres.start()
        assert self._postgres.pid is not None
        self._reaper.watch_group(self._postgres.pid)
        self._reaper.watch_directory(self._postgres.socket_dir)
        return self.url

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server; do nothing when it is already stopped."""
        pid = self._postgres.pid
        self._postgres.stop(mode)
        if pid is not None:
            self._reaper.forget_group(pid)

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """Send SIGKILL to all of its processes at once, as when the machine loses power."""
        assert self._postgres.pid is not None
        server = psutil.Process(self._postgres.pid)
        for process in [server, *server.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.stop()


def _server(data_dir: Path, reaper: Reaper, settings: dict[str, str]) -> EmbeddedPostgres | PostgresCluster:
    """Return a server of the bundled version, or of the one that this run of the tests asks for."""
    if os.environ.get(WHICH_VARIABLE) == "debian":
        return PostgresCluster(data_dir, reaper, settings, binaries=debian_binaries())
    return EmbeddedPostgres(data_dir, settings)


@contextmanager
def running_postgres(reaper: Reaper, settings: dict[str, str], parent: str | None = None) -> Iterator[PostgresServer]:
    """Run a server with its data in a new directory in `parent`, by default on the disk."""
    with tempfile.TemporaryDirectory(prefix="taskcore-test-", dir=parent) as directory:
        reaper.watch_directory(Path(directory))
        server = PostgresServer(Path(directory), reaper, settings)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


@pytest.fixture
def data_dir(reaper: Reaper) -> Iterator[Path]:
    """Yield a path for a standalone's data. It does not exist yet; processes that use it are killed afterwards.

    It is not below `tmp_path`: each pytest that starts on this machine resets the mode of the parent directory to 0700,
    which breaks a PostgreSQL that is starting as another account.
    """
    with tempfile.TemporaryDirectory(prefix="taskcore-test-") as directory:
        reaper.watch_directory(Path(directory))
        data_dir = Path(directory) / "data"
        yield data_dir
        for process in postgres_processes(data_dir):
            process.kill()
        shutil.rmtree(EmbeddedPostgres(data_dir).socket_dir, ignore_errors=True)


def postgres_processes(data_dir: Path) -> list[psutil.Process]:
    """Return the PostgreSQL processes that use this data directory."""
    cluster = str((data_dir / "cluster").resolve())
    return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == cluster]


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest, reaper: Reaper) -> Iterator[PostgresDatabases]:
    """Yield the run's server. It is not durable, which makes it fast."""
    if shared := shared_addresses(request.config):
        yield PostgresDatabases(shared["postgres"])
    else:
        with running_postgres(reaper, NON_DURABLE_SETTINGS, memory_directory()) as server:
            yield server


@pytest.fixture(scope="session")
def template(request: pytest.FixtureRequest, postgres_server: PostgresDatabases) -> str:
    """Return the name of a database with the schema. Tests copy it and never connect to it."""
    return TEMPLATE_DATABASE if shared_addresses(request.config) else postgres_server.create_template()


@pytest.fixture
def database_url(postgres_server: PostgresDatabases, template: str) -> Iterator[str]:
    """Yield the URL of a private database with the schema."""
    with postgres_server.fresh_database(template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_server: PostgresDatabases) -> Iterator[str]:
    """Yield the URL of a private database without the schema."""
    with postgres_server.fresh_database() as url:
        yield url


@pytest.fixture
def private_postgres(reaper: Reaper) -> Iterator[PostgresServer]:
    """Yield a private, durable server with an empty database, which the test may stop and crash."""
    with running_postgres(reaper, {}, memory_directory()) as server:
        yield server
