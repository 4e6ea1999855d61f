"""The writer, which moves items from the buffer to the database in batches and retries while it is unavailable."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import structlog

from collector_k8s.events.buffer_item import BufferItem
from collector_k8s.health import CollectorStatus
from collector_k8s.ingest.buffer import EventBuffer
from collector_k8s.lease import LeaseLost
from collector_k8s.metrics import EVENTS_REJECTED
from collector_k8s.store.event_store import EventStore
from taskcore.db.engine import is_database_unavailable
from taskcore.domain.backoff import Backoff
from taskcore.errors import first_line
from taskcore.observability.outages import DATABASE

BATCH_SIZE = 500
MAX_RETRY_WAIT_S = 5.0
RESOLVE_INTERVAL_S = 5.0

log = structlog.stdlib.get_logger(__name__)


@dataclass(eq=False)
class EventWriter:
    """Writes in one thread, until `stopped` is set."""

    cluster: str
    buffer: EventBuffer
    store: EventStore
    scopes: Sequence[str]
    status: CollectorStatus
    stopped: threading.Event
    _backoff: Backoff = field(default_factory=lambda: Backoff(rng=random.Random()), init=False)
    _resolve_at: float = field(default_factory=lambda: time.monotonic() + RESOLVE_INTERVAL_S, init=False)

    def run(self) -> None:
        """Write until stopped. What is left in the buffer is dropped: its position is not stored, so it is read again.

        Raises `LeaseLost`.
        """
        while not self.stopped.is_set():
            if items := self.buffer.take(BATCH_SIZE):
                for batch in split_at_set_back(items):
                    self._write(batch)
            if len(items) < BATCH_SIZE:  # otherwise an event in the buffer may belong to an alert that seems inactive
                self._resolve_inactive()

    def _write(self, items: Sequence[BufferItem]) -> None:
        while not self.stopped.is_set():
            try:
                self.store.store(items)
            except LeaseLost:
                raise
            except Exception as exc:
                if not is_database_unavailable(exc):
                    self._bisect(items, exc)
                    return
                self._wait_for_database(exc)
            else:
                self.status.has_database = True
                self._backoff.reset()
                return

    def _bisect(self, items: Sequence[BufferItem], exc: Exception) -> None:
        """Write the halves of a batch that failed, down to the event that the database rejects, and skip that one."""
        if len(items) > 1:
            middle = len(items) // 2
            self._write(items[:middle])
            self._write(items[middle:])
        elif (event := items[0].event) is not None:
            log.error("event.store_failed", uid=event.uid, version=event.resource_version, error=first_line(exc))
            EVENTS_REJECTED.labels(self.cluster).inc()
            self._write([replace(items[0], event=None)])
        else:
            log.error("cursor.store_failed", position=items[0].position, exc_info=exc)
            self.stopped.wait(self._backoff.next_s())

    def _wait_for_database(self, exc: Exception) -> None:
        DATABASE.failed(exc)
        self.status.has_database = False
        self.stopped.wait(min(self._backoff.next_s(), MAX_RETRY_WAIT_S))

    def _resolve_inactive(self) -> None:
        if time.monotonic() < self._resolve_at:
            return
        self._resolve_at = time.monotonic() + RESOLVE_INTERVAL_S
        try:
            self.store.resolve_inactive(self.scopes)
        except LeaseLost:
            raise
        except Exception as exc:  # the next attempt may succeed
            if not is_database_unavailable(exc):
                log.exception("alerts.resolve_failed")


def split_at_set_back(items: Sequence[BufferItem]) -> Iterator[Sequence[BufferItem]]:
    """Yield `items` in parts, so that what was read before a cluster was set back is stored before."""
    starts = [0, *(at for at, item in enumerate(items) if at and item.is_set_back), len(items)]
    return (items[start:end] for start, end in pairwise(starts))
