"""Processes that own a data directory or a stale pid, and data to look for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from taskstandalone.postgres.account import Account

OWNER = """
import sys, pathlib, signal
from taskstandalone.postgres.embedded_postgres import EmbeddedPostgres
postgres = EmbeddedPostgres(pathlib.Path(sys.argv[1]))
postgres.start()
print("pid", postgres.pid, flush=True)
signal.pause()
"""


@contextmanager
def running_owner(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yield a process that owns the data directory, and the pid of its server."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data_dir)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert owner.stdout is not None
        server = next(int(line.split()[1]) for line in owner.stdout if line.startswith("pid "))
        yield owner, server
    finally:
        owner.kill()
        owner.communicate()


@contextmanager
def program_of_server_account(data_dir: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    account = Account.for_server(data_dir / "cluster")
    process = subprocess.Popen(command, **account.popen_options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def write_data(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")


def has_data(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT answer FROM kept").fetchall() == [(42,)]
