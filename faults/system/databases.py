"""Databases that a fault brings along, instead of one on the server of all faults."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.postgres_cluster import PostgresCluster, running_cluster
from harness.reaper import Reaper
from harness.waiting import eventually
from taskcore.db import migrations
from taskstandalone.postgres.account import Account

MAX_CONNECTIONS = {"max_connections": "200"}


@dataclass(frozen=True, slots=True)
class OwnDatabase:
    """`clock_file` sets the clock of the primary: its content is the seconds to add, with a sign."""

    url: str
    primary: PostgresCluster
    clock_file: Path | None = None

    @property
    def standby(self) -> PostgresCluster:
        return self.primary.standbys[0]

    def set_ahead(self, seconds: int) -> None:
        """Set the clock of the server. All that asks for the time sees it: functions, defaults of columns, timers."""
        assert self.clock_file is not None
        self.clock_file.write_text(f"{seconds:+d}")
        is_ahead = f"SELECT 1 WHERE extract(epoch FROM now()) > {time.time() + seconds / 2}"
        eventually(lambda: self.primary.execute(is_ahead), description="the server's clock being ahead")


DatabaseFactory = Callable[[Reaper, Path], AbstractContextManager[OwnDatabase]]


@contextmanager
def synchronous_pair(reaper: Reaper, _directory: Path) -> Iterator[OwnDatabase]:
    """A primary that acknowledges a commit once its standby has it, and a URL with both hosts."""
    with running_cluster(reaper, MAX_CONNECTIONS) as primary:
        migrations.upgrade(primary.url)
        standby = primary.create_standby()
        yield OwnDatabase(f"postgresql://taskcore@{primary.address},{standby.address}/taskcore", primary)


@contextmanager
def adjustable_clock(reaper: Reaper, directory: Path) -> Iterator[OwnDatabase]:
    """A server whose wall clock can be set. Its monotonic clock goes on, as where an operator or NTP sets the time.

    libfaketime intercepts what the server asks the C library, so that nothing of PostgreSQL or Taskcore is replaced.
    """
    clock_file = directory / "database-clock"
    clock_file.write_text("+0")
    Account.for_server(directory).grant_traverse(clock_file)
    environment = {
        "LD_PRELOAD": str(_faketime_library()),
        "FAKETIME_TIMESTAMP_FILE": str(clock_file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",
    }
    with running_cluster(reaper, MAX_CONNECTIONS, environment=environment) as server:
        migrations.upgrade(server.url)
        yield OwnDatabase(server.url, server, clock_file)


def _faketime_library() -> Path:
    """Return the library of Debian's package faketime."""
    for file in Path("/usr/lib").glob("*/faketime/libfaketime.so.1"):
        return file
    raise FileNotFoundError("libfaketime is not installed: harness/provide_servers installs it")
