"""The one writer: from the buffer to the database, in batches. It waits for a database that is away."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import structlog

from collector_k8s.backoff import Backoff
from collector_k8s.health import Status
from collector_k8s.ingest.buffer import Buffer
from collector_k8s.metrics import EVENTS_UNREADABLE
from collector_k8s.store.event_store import Fenced, Item, Storage
from taskcore.db.engine import is_database_away
from taskcore.errors import first_line

BATCH = 500
QUIET_EVERY_S = 5.0

log = structlog.stdlib.get_logger(__name__)


class Writer:
    """For one thread, until `over` is set."""

    def __init__(
        self,
        cluster: str,
        buffer: Buffer,
        storage: Storage,
        scopes: Sequence[str],
        status: Status,
        over: threading.Event,
    ) -> None:
        self._cluster = cluster
        self._buffer = buffer
        self._storage = storage
        self._scopes = scopes
        self._status = status
        self._over = over
        self._backoff = Backoff(random.Random())
        self._quiet_at = time.monotonic() + QUIET_EVERY_S

    def run(self) -> None:
        """What is in the buffer at the end was not stored, and its position neither: it is read again.

        Raises:
            Fenced
        """
        while not self._over.is_set():
            if items := self._buffer.take(BATCH):
                self._store(items)
            if len(items) < BATCH:  # else what waits may be of those that seem to be quiet
                self._look_for_quiet()

    def _store(self, items: Sequence[Item]) -> None:
        while not self._over.is_set():
            try:
                self._storage.store(items)
            except Fenced:
                raise
            except Exception as exc:
                if not is_database_away(exc):
                    self._store_apart(items, exc)
                    return
                self._wait(exc)
            else:
                self._status.has_database = True
                self._backoff.reset()
                return

    def _store_apart(self, items: Sequence[Item], exc: Exception) -> None:
        """One event that the database does not take must not keep the others from being stored."""
        if len(items) > 1:
            middle = len(items) // 2
            self._store(items[:middle])
            self._store(items[middle:])
        elif items[0].event is not None:
            event, why = items[0].event, str(exc).partition("\n")[0]
            log.error("event.not_stored", uid=event.uid, version=event.resource_version, error=why)
            EVENTS_UNREADABLE.labels(self._cluster).inc()
            self._store([replace(items[0], event=None)])
        else:
            log.error("cursor.not_stored", position=items[0].position, exc_info=exc)
            self._over.wait(self._backoff.next_s())

    def _wait(self, exc: Exception) -> None:
        if self._status.has_database:
            log.warning("database.away", error=first_line(exc))
        self._status.has_database = False
        self._over.wait(min(self._backoff.next_s(), 5.0))

    def _look_for_quiet(self) -> None:
        if time.monotonic() < self._quiet_at:
            return
        self._quiet_at = time.monotonic() + QUIET_EVERY_S
        try:
            self._storage.resolve_quiet(self._scopes)
        except Fenced:
            raise
        except Exception as exc:  # the next look may succeed
            if not is_database_away(exc):
                log.exception("alerts.not_looked_at")
