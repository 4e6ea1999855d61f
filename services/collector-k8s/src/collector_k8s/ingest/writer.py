"""The one writer: from the buffer to the database, in batches. It waits for a database that is away."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import structlog

from collector_k8s.backoff import Backoff
from collector_k8s.health import CollectorStatus
from collector_k8s.ingest.buffer import EventBuffer
from collector_k8s.metrics import EVENTS_REJECTED
from collector_k8s.store.event_store import BufferItem, EventStore, LeaseLost
from taskcore.db.engine import is_database_unavailable
from taskcore.errors import first_line

BATCH_SIZE = 500
RESOLVE_INTERVAL_S = 5.0

log = structlog.stdlib.get_logger(__name__)


class EventWriter:
    """For one thread, until `over` is set."""

    def __init__(
        self,
        cluster: str,
        buffer: EventBuffer,
        store: EventStore,
        scopes: Sequence[str],
        status: CollectorStatus,
        stopped: threading.Event,
    ) -> None:
        self._cluster = cluster
        self._buffer = buffer
        self._storage = store
        self._scopes = scopes
        self._status = status
        self._stopped = stopped
        self._backoff = Backoff(random.Random())
        self._quiet_at = time.monotonic() + RESOLVE_INTERVAL_S

    def run(self) -> None:
        """What is in the buffer at the end was not stored, and its position neither: it is read again.

        Raises:
            Fenced
        """
        while not self._stopped.is_set():
            if items := self._buffer.take(BATCH_SIZE):
                self._store(items)
            if len(items) < BATCH_SIZE:  # else what waits may be of those that seem to be quiet
                self._look_for_quiet()

    def _store(self, items: Sequence[BufferItem]) -> None:
        while not self._stopped.is_set():
            try:
                self._storage.store(items)
            except LeaseLost:
                raise
            except Exception as exc:
                if not is_database_unavailable(exc):
                    self._store_apart(items, exc)
                    return
                self._wait(exc)
            else:
                self._status.has_database = True
                self._backoff.reset()
                return

    def _store_apart(self, items: Sequence[BufferItem], exc: Exception) -> None:
        """One event that the database does not take must not keep the others from being stored."""
        if len(items) > 1:
            middle = len(items) // 2
            self._store(items[:middle])
            self._store(items[middle:])
        elif items[0].event is not None:
            event, why = items[0].event, first_line(exc)
            log.error("event.store_failed", uid=event.uid, version=event.resource_version, error=why)
            EVENTS_REJECTED.labels(self._cluster).inc()
            self._store([replace(items[0], event=None)])
        else:
            log.error("cursor.store_failed", position=items[0].position, exc_info=exc)
            self._stopped.wait(self._backoff.next_s())

    def _wait(self, exc: Exception) -> None:
        if self._status.has_database:
            log.warning("database.unavailable", error=first_line(exc))
        self._status.has_database = False
        self._stopped.wait(min(self._backoff.next_s(), 5.0))

    def _look_for_quiet(self) -> None:
        if time.monotonic() < self._quiet_at:
            return
        self._quiet_at = time.monotonic() + RESOLVE_INTERVAL_S
        try:
            self._storage.resolve_inactive(self._scopes)
        except LeaseLost:
            raise
        except Exception as exc:  # the next look may succeed
            if not is_database_unavailable(exc):
                log.exception("alerts.resolve_failed")
