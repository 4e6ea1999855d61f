"""Clusters of PostgreSQL of any version, which listen on TCP, follow each other, and take over."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Literal
from urllib.parse import quote

import psutil
import psycopg
import pytest

from harness.memory import memory_directory
from harness.ports import free_port
from harness.reaper import Reaper
from harness.waiting import eventually
from taskstandalone.postgres import paths
from taskstandalone.postgres.account import Account
from taskstandalone.postgres.cluster import SUPERUSER, named_account, program_options
from taskstandalone.postgres.roles import OWNER, create_roles_and_databases

#: Debian installs each version beside the others.
DEBIAN_BINARIES = Path("/usr/lib/postgresql")


def debian_binaries() -> Path:
    """Return the directory with the programs of the oldest version that Debian has installed here."""
    versions = sorted(DEBIAN_BINARIES.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not versions:
        pytest.fail(f"no PostgreSQL in {DEBIAN_BINARIES}: harness/provide_servers installs it", pytrace=False)
    return versions[0].parent


@contextmanager
def running_cluster(
    reaper: Reaper,
    settings: Mapping[str, str] | None = None,
    *,
    binaries: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[PostgresCluster]:
    """Run a cluster in memory, by default of the bundled version, and stop it and its standbys at the end."""
    with TemporaryDirectory(prefix="taskcore-test-", dir=memory_directory()) as directory:
        reaper.watch_directory(Path(directory))
        cluster = PostgresCluster(Path(directory), reaper, settings, binaries=binaries, environment=environment)
        try:
            cluster.start()
            yield cluster
        finally:
            for one in (cluster, *cluster.standbys):
                one.stop("immediate")


class PostgresCluster:
    """One cluster in `directory`. Its server has the same port after each start.

    `environment` is added to that of the server.
    """

    def __init__(
        self,
        directory: Path,
        reaper: Reaper,
        settings: Mapping[str, str] | None = None,
        *,
        binaries: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.socket_dir = directory
        self.port = free_port()
        self._reaper = reaper
        self._settings = dict(settings or {})
        self._binaries = binaries or paths.binaries_dir()
        self._environment = {**paths.environment(), **(environment or {})}
        self._account = named_account(Account.for_server(self.data_dir))
        self._server: psutil.Popen | None = None
        self.standbys: list[PostgresCluster] = []
        for tree in paths.installation_paths():
            self._account.grant_read(tree)
        self._account.grant_traverse(directory)
        self._account.make_private_directory(directory)

    @property
    def url(self) -> str:
        return f"postgresql://{OWNER}@{self.address}/{OWNER}"

    @property
    def superuser_url(self) -> str:
        """By the socket, as tests know it from the bundled server."""
        return f"postgresql://{SUPERUSER}@/{OWNER}?host={quote(str(self.directory))}&port={self.port}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        return self._server.pid if self._server else None

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    def create_standby(self, environment: Mapping[str, str] | None = None) -> PostgresCluster:
        """Return a running cluster that follows this one. From now on commits wait for it."""
        directory = self.directory / f"standby-{len(self.standbys)}"
        standby = PostgresCluster(
            directory, self._reaper, self._settings, binaries=self._binaries, environment=environment
        )
        self.standbys.append(standby)
        source = f"host=127.0.0.1 port={self.port} user={SUPERUSER} application_name=standby"
        standby._run("pg_basebackup", "-D", str(standby.data_dir), "-d", source, "-R", "-c", "fast", "--no-sync")
        standby._launch()
        self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.execute("SELECT pg_reload_conf()")
        waited = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
        eventually(lambda: self.execute(waited), description="a synchronous standby")
        return standby

    def start(self) -> str:
        """Start the server, wait until it accepts connections, and return its URL. Create what does not exist."""
        if not self.data_dir.exists():
            self._run("initdb", "-D", str(self.data_dir), "-U", SUPERUSER, "--auth=trust", "-EUTF8", "--locale=C", "-N")
        self._launch()
        with psycopg.connect(self.superuser_url, dbname="template1", autocommit=True) as connection:
            create_roles_and_databases(connection)
        return self.url

    def _launch(self) -> None:
        settings = {**self._settings, "listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.directory)}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        command = [str(self._binaries / "postgres"), "-D", str(self.data_dir), "-p", str(self.port), *arguments]
        with (self.directory / "log").open("ab") as output:
            self._server = psutil.Popen(command, start_new_session=True, **self._options(output))
        self._reaper.watch_group(self._server.pid)
        eventually(self._is_ready, description=f"PostgreSQL being ready: {self.directory / 'log'}")

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server; do nothing when it is already stopped."""
        if self._server is not None:
            with suppress(ProcessLookupError):
                os.kill(self._server.pid, signal.SIGINT if mode == "fast" else signal.SIGQUIT)
            self._server.wait(60)
            self._forget()

    def kill(self) -> None:
        """Send SIGKILL to all of its processes at once, as when its machine loses power."""
        assert self._server is not None
        for process in [self._server, *self._server.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._server.wait(60)
        self._forget()

    def enable_tls(self, certificate: bytes, key: bytes) -> None:
        """Also accept encrypted connections from now on."""
        for name, content in (("server.crt", certificate), ("server.key", key)):
            file = self.data_dir / name
            file.write_bytes(content)
            file.chmod(0o600)
            self._account.take_ownership(file)
        self.execute("ALTER SYSTEM SET ssl = on")
        self.execute("SELECT pg_reload_conf()")
        eventually(lambda: self.execute("SHOW ssl") == [("on",)])

    def promote(self) -> None:
        """Make a standby the primary, which then waits for no other server, and wait until it accepts writes."""
        self.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        self.execute("SELECT pg_promote(true, 60)")

    def execute(self, statement: str, database: str = OWNER) -> list[Any]:
        """Execute a statement, with a superuser's rights, in a session of its own."""
        with psycopg.connect(self.superuser_url, dbname=database, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        with (self.directory / "log").open("ab") as output:
            command = [str(self._binaries / program), *arguments]
            subprocess.run(command, check=True, **self._options(output))

    def _options(self, output: IO[bytes]) -> dict[str, Any]:
        return {**program_options(self._account, output), "env": self._environment}

    def _is_ready(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None or pytest.fail((self.directory / "log").read_text()[-2000:])
        with suppress(psycopg.OperationalError):
            return bool(self.execute("SELECT 1", database="template1"))
        return False

    def _forget(self) -> None:
        assert self._server is not None
        self._reaper.forget_group(self._server.pid)
        self._server = None
