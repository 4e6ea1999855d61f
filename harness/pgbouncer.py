"""A real PgBouncer before a test's PostgreSQL."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import psycopg
import pytest
from sqlalchemy import make_url

from harness.ports import free_port
from harness.reaper import Reaper
from harness.waiting import eventually
from taskstandalone.postgres.account import Account

CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = {pool_mode}
default_pool_size = {pool_size}
max_client_conn = 500
"""


@contextmanager
def running_pgbouncer(
    url: str, reaper: Reaper, pool_mode: Literal["session", "transaction"], *, pool_size: int = 20
) -> Iterator[str]:
    """Run a pooler as it comes from Debian, and yield the URL of the same database through it."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.fail("pgbouncer is not installed: harness/provide_servers installs it", pytrace=False)
    target, listen_port = make_url(url), free_port()
    with TemporaryDirectory(prefix="taskcore-pgbouncer-") as directory:
        account = Account.for_server(Path(directory) / "cluster")  # as the server, whose socket is private
        configuration = Path(directory) / "pgbouncer.ini"
        configuration.write_text(
            CONFIGURATION.format(
                host=target.host or target.query["host"],
                port=target.port or target.query["port"],
                user=target.username,
                listen_port=listen_port,
                pool_mode=pool_mode,
                pool_size=pool_size,
            )
        )
        account.take_ownership(Path(directory))
        with (Path(directory) / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, str(configuration)], stdout=log, stderr=log, start_new_session=True, **account.popen_options
            )
        reaper.watch_group(process.pid)
        pooled = f"postgresql://{target.username}@127.0.0.1:{listen_port}/{target.database}"
        try:
            eventually(lambda: _answers(pooled), description=f"PgBouncer answering: {(Path(directory) / 'log')}")
            yield pooled
        finally:
            process.terminate()
            process.wait()
            reaper.forget_group(process.pid)


def _answers(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url, autocommit=True) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)
    return False
