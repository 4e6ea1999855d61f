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
from taskstandalone.postgres.roles import OWNER

NON_DURABLE_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "400", "max_wal_size": "256MB"}
#: `debian`: the tests of this run use the oldest PostgreSQL that Debian has installed, not the bundled one.
WHICH_VARIABLE = "TASKCORE_TEST_POSTGRES"
TEMPLATE_DATABASE = "taskcore_template"
RUNTIME_ROLE = "taskcore_runtime"


class PostgresDatabases:
    """A running server, for creating databases on it. A database with the schema has two roles, as in production."""

    def __init__(self, superuser_url: str = "") -> None:
        self.superuser_url = superuser_url

    @contextmanager
    def fresh_database(self, template: str = "template0") -> Iterator[str]:
        """Yield the URL of a new database. It is dropped afterwards, and remaining connections are closed.

        The URL of a copy of `TEMPLATE_DATABASE` has the role of Taskcore's services, and that of any other database has
        its owner's. Copying files is several times faster than the default, which writes the copy to the WAL.
        """
        name = f"test_{uuid4().hex}"
        self._execute("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY FILE_COPY", name, template, OWNER)
        try:
            yield self._url_of(name, RUNTIME_ROLE if template == TEMPLATE_DATABASE else OWNER)
        finally:
            self._execute("DROP DATABASE {} WITH (FORCE)", name)

    def create_template(self) -> str:
        """Create the database with the schema that `fresh_database` copies, and return its name."""
        self._execute("CREATE ROLE {} LOGIN", RUNTIME_ROLE)
        self._execute("CREATE DATABASE {} OWNER {}", TEMPLATE_DATABASE, OWNER)
        migrations.upgrade(self._url_of(TEMPLATE_DATABASE, OWNER), runtime_role=RUNTIME_ROLE)
        return TEMPLATE_DATABASE

    def _url_of(self, database: str, role: str) -> str:
        return make_url(self.superuser_url).set(database=database, username=role).render_as_string(hide_password=False)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def as_role(role: str, url: str) -> str:
    """Return the URL of the same database for another role: `OWNER` may change the schema, `SUPERUSER` anything."""
    return make_url(url).set(username=role).render_as_string(hide_password=False)


def execute_as(role: str, url: str, *statements: str) -> None:
    """Execute statements on the database at `url`, as another role than its URL has."""
    with psycopg.connect(as_role(role, url), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


class PostgresServer(PostgresDatabases):
    """A private cluster in a temporary directory that a test may stop, crash and restart."""

    def __init__(self, data_dir: Path, reaper: Reaper, settings: dict[str, str]) -> None:
        super().__init__()
        self.url = ""
        self._postgres = _server(data_dir, reaper, settings | {"hba_file": str(_trust_file(data_dir))})
        self._reaper = reaper

    def start(self) -> str:
        """Start the server and return the URL of its empty database, which is the same after each start."""
        self.url = self._postgres.start()
        self.superuser_url = self._postgres.superuser_url
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


def _trust_file(data_dir: Path) -> Path:
    """Write a file that lets each program that reaches the socket connect as anybody: a pooler is not root."""
    file = data_dir / "trust.conf"
    file.write_text("local all all trust\nhost all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n")
    return file


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
    """Yield the URL of a private database with the schema, for the role of Taskcore's services."""
    with postgres_server.fresh_database(template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_server: PostgresDatabases) -> Iterator[str]:
    """Yield the URL of a private database without the schema, for its owner."""
    with postgres_server.fresh_database() as url:
        yield url


@pytest.fixture
def private_postgres(reaper: Reaper) -> Iterator[PostgresServer]:
    """Yield a private, durable server with an empty database, which the test may stop and crash."""
    with running_postgres(reaper, {}, memory_directory()) as server:
        yield server
