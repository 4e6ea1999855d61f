"""Reading one scope, a namespace or all: list, watch, and list again when the cluster has forgotten where we were.

What is read goes into the buffer in order, each with the position up to where everything was read with it. A list has
one at its end only: who takes over in the middle of it begins it again.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import structlog

from collector_k8s.backoff import Backoff
from collector_k8s.clock import monotonic_s
from collector_k8s.cluster.client import ClusterClient, ClusterError, ReadTimedOut, ResourceExpired
from collector_k8s.cluster.event_pages import list_pages
from collector_k8s.cluster.watch import Watch, WatchEvent, resource_version_of
from collector_k8s.health import CollectorStatus
from collector_k8s.ingest.buffer import Stopped
from collector_k8s.ingest.event_filter import EventFilter
from collector_k8s.metrics import RECONNECTS
from collector_k8s.store.event_store import BufferItem
from taskcore.settings import KubernetesSettings

#: A watch that lasted so long was none of those that fail at once.
STABLE_WATCH_S = 10.0
#: One that the server ended sooner, with nothing told, was none.
MIN_WATCH_S = 0.5

log = structlog.stdlib.get_logger(__name__)

Put = Callable[[BufferItem], None]


class Reflector:
    """For one thread, until `over` is set. `position` and `seen_at` (of `elapsed_s`) are where the last left off."""

    def __init__(
        self,
        scope: str,
        settings: KubernetesSettings,
        cluster: ClusterClient,
        event_filter: EventFilter,
        put: Put,
        status: CollectorStatus,
        stopped: threading.Event,
        position: str | None = None,
        seen_at: float | None = None,
    ) -> None:
        self._scope = scope
        self._settings = settings
        self._cluster = cluster
        self._event_filter = event_filter
        self._put = put
        self._status = status
        self._stopped = stopped
        self._position = position
        self._seen_at = seen_at
        self._backoff = Backoff(random.Random())
        self._watch: Watch | None = None

    def run(self) -> None:
        while not self._stopped.is_set():
            begun = time.monotonic()
            try:
                self._go_on()
            except Stopped:
                return
            except Exception as exc:  # whatever it is: nobody else reads these events
                if not self._stopped.is_set():
                    self._recover(exc, time.monotonic() - begun)

    def interrupt(self) -> None:
        """Once `over` is set: do not wait for the next line."""
        if (watch := self._watch) is not None:
            watch.close()

    def _go_on(self) -> None:
        """To the end of a watch."""
        if self._position is None:
            self._position = self._list()
        begun, seen_at = time.monotonic(), self._seen_at
        watch = self._watch = Watch(self._cluster, self._scope, self._position)
        try:
            self._status.connected(self._scope)
            for told in watch:
                if self._stopped.is_set():
                    return
                self._take(told)
            if self._seen_at == seen_at and time.monotonic() - begun < MIN_WATCH_S:
                self._pause()
            else:
                self._end()
        finally:
            self._watch = None
            watch.release()

    def _list(self) -> str:
        """Everything that there is. What happened since the last position and is gone by now is lost."""
        begun = monotonic_s()
        version = ""
        for page in list_pages(self._cluster, self._scope):
            self._status.connected(self._scope)
            for raw in page.items or []:
                if (event := self._event_filter.accept(raw)) is not None:
                    self._put(BufferItem(self._scope, monotonic_s(), event))
            version = version or page.metadata.resource_version
        if not version:
            raise ClusterError("The list has no version to go on from.")
        lost_since, self._seen_at = self._lost_since(begun), begun
        self._status.listed(self._scope)
        self._put(BufferItem(self._scope, begun, position=version, gap_since=lost_since))
        return version

    def _lost_since(self, now: float) -> float | None:
        """Events live for so long: what is not in a list that comes later than that cannot be known."""
        if self._seen_at is None or now - self._seen_at <= self._settings.event_ttl_s:
            return None
        log.error("events.lost", scope=self._scope, silent_s=round(now - self._seen_at))
        return self._seen_at

    def _take(self, told: WatchEvent) -> None:
        """Deleted events are those whose time is up: they stay, here."""
        self._position = version = resource_version_of(told.object) or self._position
        self._seen_at = seen_at = monotonic_s()
        self._backoff.reset()
        (self._status.bookmark_seen if told.type == "BOOKMARK" else self._status.seen)(self._scope)
        if told.type in ("ADDED", "MODIFIED") and (event := self._event_filter.accept(told.object)) is not None:
            self._put(BufferItem(self._scope, seen_at, event, version))
        elif told.type == "BOOKMARK":
            self._put(BufferItem(self._scope, seen_at, position=version))
        if monotonic_s() - seen_at > 2 * self._settings.bookmark_interval_s:
            # What waits in the connection is as old. Asked again, the cluster says whether it still knows the rest.
            raise ClusterError("What was read had to wait too long to be stored: the watch is begun again.")

    def _end(self) -> None:
        """The server ended the watch in order: it is there, and everything up to here was told."""
        self._backoff.reset()
        self._status.seen(self._scope)
        self._seen_at = monotonic_s()
        self._put(BufferItem(self._scope, self._seen_at, position=self._position))

    def _recover(self, trouble: Exception, lasted_s: float) -> None:
        RECONNECTS.labels(self._settings.cluster).inc()
        self._status.failed(self._scope, str(trouble))
        if isinstance(trouble, ResourceExpired) and self._position is not None:
            log.warning("watch.expired", scope=self._scope, position=self._position, error=str(trouble))
            self._position = None
        elif isinstance(trouble, ReadTimedOut) and not self._status.has_bookmarks(self._scope):
            self._position = None  # it may be quiet there, or the connection half-open: a list tells
        elif isinstance(trouble, ClusterError):
            log.warning("cluster.error", scope=self._scope, status=trouble.status, error=str(trouble))
        else:
            log.error("reflector.failed", scope=self._scope, exc_info=trouble)
        if lasted_s > STABLE_WATCH_S:
            self._backoff.reset()
        self._pause(trouble.retry_after_s if isinstance(trouble, ClusterError) else None)

    def _pause(self, at_least_s: float | None = None) -> None:
        self._stopped.wait(self._backoff.next_s(at_least_s))
