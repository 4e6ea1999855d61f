"""Leader election by a lease in the database: acquired, renewed and released.

A leader that cannot renew its lease keeps reading. Its writes name the epoch of the lease, so they are refused once
another copy has acquired it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Engine, Executable
from sqlalchemy.exc import SQLAlchemyError

from collector_k8s.health import CollectorStatus
from collector_k8s.lease import Lease
from taskcore.db.kubernetes.collector_leases import acquire_lease, create_lease, release_lease, renew_lease
from taskcore.observability.outages import DATABASE

TTL_S = 6.0
RENEW_PERIOD_S = 2.0
RETRY_PERIOD_S = 1.0

log = structlog.stdlib.get_logger(__name__)


@dataclass(eq=False)
class LeaderElector:
    """Acquires the lease `name` for this copy, which `holder` identifies to operators.

    `on_heartbeat` is called each time that the database has answered.
    """

    engine: Engine
    name: str
    holder: str
    status: CollectorStatus
    on_heartbeat: Callable[[], None] = lambda: None
    ttl_s: float = TTL_S

    def acquire(self, stop: threading.Event) -> Lease | None:
        """Wait until no other copy holds the lease. `None` when `stop` was set first."""
        is_created = False
        while not stop.is_set():
            is_created = is_created or self._try(create_lease(), lease=self.name) is not None
            rows = self._try(acquire_lease(), lease=self.name, by=self.holder, ttl_s=self.ttl_s)
            if rows:
                log.info("lease.acquired", lease=self.name, epoch=rows[0].epoch)
                return Lease(self.name, rows[0].epoch)
            if rows is not None:
                self.on_heartbeat()
            stop.wait(RETRY_PERIOD_S)
        return None

    def renew_until_lost(self, lease: Lease, stopped: threading.Event) -> None:
        """Renew the lease until `stopped` is set, and set it when another copy has acquired the lease."""
        while not stopped.wait(RENEW_PERIOD_S):
            rows = self._try(renew_lease(), lease=lease.name, mine=lease.epoch, ttl_s=self.ttl_s)
            if rows:
                self.on_heartbeat()
            elif rows is not None:
                log.error("lease.lost", lease=lease.name, epoch=lease.epoch)
                stopped.set()

    def release(self, lease: Lease) -> None:
        """Let another copy acquire the lease at once, unless one has it already."""
        self._try(release_lease(), lease=lease.name, mine=lease.epoch)

    def _try(self, statement: Executable, **parameters: object) -> list[Any] | None:
        """Return the rows, or `None` while the database, or its schema, is not ready."""
        try:
            with self.engine.connect() as connection:
                result = connection.execute(statement, parameters)
                rows = list(result) if result.returns_rows else []
        except SQLAlchemyError as exc:
            DATABASE.failed(exc)
            self.status.has_database = False
            return None
        DATABASE.succeeded()
        self.status.has_database = True
        return rows
