"""Real PostgreSQL for tests: one server a session, one database a test, copied from a migrated template."""

from __future__ import annotations

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

from harness.reaper import Reaper
from taskstandalone.postgres.embedded_postgres import EmbeddedPostgres

NON_DURABLE_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}
TEMPLATE_DATABASE = "taskcore_template"


class PostgresServer:
    """A cluster of its own, below a temporary directory, that a test may stop, crash and start again."""

    def __init__(self, data_dir: Path, reaper: Reaper, settings: dict[str, str]) -> None:
        self._postgres = EmbeddedPostgres(data_dir, settings)
        self._reaper = reaper
        self.url = ""

    def start(self) -> str:
        """The URL is the same each time."""
        self.url = self._postgres.start()
        assert self._postgres.pid is not None
        self._reaper.watch_group(self._postgres.pid)
        self._reaper.watch_directory(self._postgres.socket_dir)
        return self.url

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Does nothing when it is stopped already."""
        pid = self._postgres.pid
        self._postgres.stop(mode)
        if pid is not None:
            self._reaper.forget_group(pid)

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """SIGKILL for all of its processes at once, like a machine that loses its power."""
        assert self._postgres.pid is not None
        server = psutil.Process(self._postgres.pid)
        for process in [server, *server.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.stop()

    def url_of(self, name: str) -> str:
        """The URL of another database of this server."""
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    @contextmanager
    def fresh_database(self, template: str = "template0") -> Iterator[str]:
        """The URL of a new database, which is gone afterwards with whoever is still connected to it."""
        name = f"test_{uuid4().hex}"
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        try:
            yield self.url_of(name)
        finally:
            self._execute("DROP DATABASE {} WITH (FORCE)", name)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def running_postgres(reaper: Reaper, settings: dict[str, str]) -> Iterator[PostgresServer]:
    with tempfile.TemporaryDirectory(prefix="taskcore-test-") as directory:
        reaper.watch_directory(Path(directory))
        server = PostgresServer(Path(directory), reaper, settings)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


@pytest.fixture
def data_dir(reaper: Reaper) -> Iterator[Path]:
    """Where a standalone may keep its data; not there yet. Whatever still runs on it at the end is killed.

    Not below `tmp_path`: each pytest that starts on this machine sets the directory above all of those back to 0700,
    under the feet of a PostgreSQL that runs as another account and is just starting.
    """
    with tempfile.TemporaryDirectory(prefix="taskcore-test-") as directory:
        reaper.watch_directory(Path(directory))
        data_dir = Path(directory) / "data"
        yield data_dir
        for process in postgres_processes(data_dir):
            process.kill()
        shutil.rmtree(EmbeddedPostgres(data_dir).socket_dir, ignore_errors=True)


def postgres_processes(data_dir: Path) -> list[psutil.Process]:
    """PostgreSQL's processes on this data directory."""
    cluster = str((data_dir / "cluster").resolve())
    return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == cluster]


@pytest.fixture(scope="session")
def postgres_server(reaper: Reaper) -> Iterator[PostgresServer]:
    """The session's server. It forgets everything if the machine fails, which makes it fast."""
    with running_postgres(reaper, NON_DURABLE_SETTINGS) as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres_server: PostgresServer) -> str:
    """The name of a database with the schema, which nobody connects to."""
    from taskcore.db import migrations

    with psycopg.connect(postgres_server.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE_DATABASE}")
    migrations.upgrade(postgres_server.url_of(TEMPLATE_DATABASE))
    return TEMPLATE_DATABASE


@pytest.fixture
def database_url(postgres_server: PostgresServer, template: str) -> Iterator[str]:
    """A database of the test's own, with the schema."""
    with postgres_server.fresh_database(template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database of the test's own, without the schema."""
    with postgres_server.fresh_database() as url:
        yield url


@pytest.fixture
def private_postgres(reaper: Reaper) -> Iterator[PostgresServer]:
    """A server of the test's own, durable, to be stopped and crashed. Its database is empty."""
    with running_postgres(reaper, {}) as server:
        yield server
