"""Reading the events of one scope (a namespace, or all): list, watch, and list again when the position has expired.

Everything is put into the buffer in the order in which it was read, with the position up to which everything has been
read. A list has a position only at its end, so a list that is interrupted starts again.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field

import structlog

from collector_k8s.clock import monotonic_s
from collector_k8s.cluster.client import ClusterClient, ClusterError, ReadTimedOut, ResourceExpired
from collector_k8s.cluster.list_watch import Watch, WatchEvent, list_pages, resource_version_of, version_since
from collector_k8s.events.buffer_item import BufferItem
from collector_k8s.events.versions import is_earlier
from collector_k8s.health import CollectorStatus
from collector_k8s.ingest.buffer import Put, Stopped
from collector_k8s.ingest.event_filter import EventFilter
from collector_k8s.metrics import RECONNECTS
from taskcore.domain.backoff import Backoff
from taskcore.settings import KubernetesSettings

#: After a watch of this length, an error is a new one and resets the backoff.
STABLE_WATCH_S = 10.0
#: A shorter watch without any event counts as a failure, so that a server that ends watches at once is not hammered.
MIN_WATCH_S = 0.5
#: Between two relists, this many times the length of a relist passes at least.
RELIST_PAUSE_FACTOR = 19

log = structlog.stdlib.get_logger(__name__)


@dataclass(eq=False)
class Reflector:
    """Reads one scope in one thread, until `stopped` is set.

    `position` and `seen_at` (in `monotonic_s`) are where the previous leader stopped reading.
    """

    scope: str
    settings: KubernetesSettings
    cluster: ClusterClient
    event_filter: EventFilter
    put: Put
    status: CollectorStatus
    stopped: threading.Event
    position: str | None = None
    seen_at: float | None = None
    _backoff: Backoff = field(default_factory=lambda: Backoff(rng=random.Random()), init=False)
    _watch: Watch | None = field(default=None, init=False)
    _expired: str | None = field(default=None, init=False)  # the position before the list

    def run(self) -> None:
        while not self.stopped.is_set():
            started = time.monotonic()
            try:
                self._list_and_watch()
            except Stopped:
                return
            except Exception as exc:  # nothing else reads these events, so any error is logged and retried
                if not self.stopped.is_set():
                    self._recover(exc, time.monotonic() - started)

    def interrupt(self) -> None:
        """Once `stopped` is set, end the wait for the next line of the watch."""
        if (watch := self._watch) is not None:
            watch.interrupt()

    def _list_and_watch(self) -> None:
        """List unless there is a position to start from, then watch until the server ends the watch."""
        if self.position is None:
            self.position = self._list()
        else:
            self._require(self.position)
        started, seen_at = time.monotonic(), self.seen_at
        watch = self._watch = Watch(self.cluster, self.scope, self.position)
        try:
            self.status.connected(self.scope)
            for event in watch:
                if self.stopped.is_set():
                    return
                self._handle(event)
            if self.seen_at == seen_at and time.monotonic() - started < MIN_WATCH_S:
                self.stopped.wait(self._backoff.next_s())
            else:
                self._handle_end()
        finally:
            self._watch = None
            watch.close()

    def _list(self) -> str:
        """Read all events and return the position of the list.

        What happened since the previous position and is not in the list is lost.
        """
        started = monotonic_s()
        version = ""
        for page in list_pages(self.cluster, self.scope):
            self.status.connected(self.scope)
            if not version:
                version = page.metadata.resource_version
                self._check_set_back(version)
            for raw in page.items or []:
                for event in self.event_filter.accept(raw):
                    self.put(BufferItem(self.scope, monotonic_s(), event))
        if not version:
            raise ClusterError("the list has no resourceVersion to watch from")
        gap_since, self.seen_at = self._gap_since(started), started
        self._expired = None
        self.status.listed(self.scope)
        self.put(BufferItem(self.scope, started, position=version, gap_since=gap_since))
        return version

    def _require(self, position: str) -> None:
        """Raise `ResourceExpired` if the cluster has not reached the position.

        A watch of events does not tell: it would stay silent until the cluster has reached it.
        """
        version = version_since(self.cluster, self.scope, position)
        if is_earlier(version, position):
            raise ResourceExpired(f"the cluster is at {version}, before {position}")

    def _check_set_back(self, version: str) -> None:
        """Record when the cluster is behind the expired position: its data was restored from a backup.

        Events since it was last seen may be lost, and its versions count up from an earlier one.
        """
        if self._expired is None or not is_earlier(version, self._expired):
            return
        log.error("cluster.set_back", scope=self.scope, position=self._expired, version=version)
        self.put(BufferItem(self.scope, monotonic_s(), gap_since=self.seen_at, is_set_back=True))
        self._expired, self.seen_at = None, monotonic_s()

    def _gap_since(self, now: float) -> float | None:
        """Return the start of the gap when the cluster may have deleted events before they were read."""
        if self.seen_at is None or now - self.seen_at <= self.settings.event_ttl_s:
            return None
        log.error("events.lost", scope=self.scope, stale_s=round(now - self.seen_at))
        return self.seen_at

    def _handle(self, event: WatchEvent) -> None:
        """Put an event or a bookmark into the buffer. A deletion means that the event expired in the cluster only."""
        self.position = version = resource_version_of(event.object) or self.position
        self.seen_at = seen_at = monotonic_s()
        self._backoff.reset()
        (self.status.bookmark_seen if event.type == "BOOKMARK" else self.status.seen)(self.scope)
        if event.type in ("ADDED", "MODIFIED"):
            accepted = self.event_filter.accept(event.object)
            for number, one in enumerate(accepted, start=1):
                self.put(BufferItem(self.scope, seen_at, one, version if number == len(accepted) else None))
        elif event.type == "BOOKMARK":
            self.put(BufferItem(self.scope, seen_at, position=version))
        if monotonic_s() - seen_at > 2 * self.settings.bookmark_interval_s:
            # What the connection still holds is as old, and must not count as a sign of life. Only a new watch can find
            # out whether the cluster still has the following changes.
            raise ClusterError("storing fell too far behind the watch, which starts again")

    def _handle_end(self) -> None:
        """The server ended the watch in order: the cluster is alive, and all changes until now have been read."""
        self._backoff.reset()
        self.status.seen(self.scope)
        self.seen_at = monotonic_s()
        self.put(BufferItem(self.scope, self.seen_at, position=self.position))

    def _forget_position(self) -> None:
        self._expired, self.position = self.position or self._expired, None

    def _recover(self, error: Exception, lasted_s: float) -> None:
        RECONNECTS.labels(self.settings.cluster).inc()
        self.status.failed(self.scope, str(error))
        if isinstance(error, ResourceExpired) and self.position is not None:
            log.warning("watch.expired", scope=self.scope, position=self.position, error=str(error))
            self._forget_position()
        elif isinstance(error, ReadTimedOut) and not self.status.has_bookmarks(self.scope):
            self._forget_position()  # the cluster is quiet, or the connection half-open: a list finds out
        elif isinstance(error, ClusterError):
            log.warning("cluster.error", scope=self.scope, status=error.status, error=str(error))
        else:
            log.error("reflector.failed", scope=self.scope, exc_info=error)
        if lasted_s > STABLE_WATCH_S:
            self._backoff.reset()
        self.stopped.wait(self._backoff.next_s(error.retry_after_s if isinstance(error, ClusterError) else None))


def relist_wait_s(interval_s: float, lasted_s: float) -> float:
    """Return the wait before the next list, when the last one took `lasted_s`."""
    return max(interval_s, RELIST_PAUSE_FACTOR * lasted_s)


@dataclass(eq=False)
class Relister:
    """Lists one scope every `interval_s` in one thread, until `stopped` is set.

    It finds what the watch missed, and does not move the cursor. Lists take a twentieth of the time at most: after a
    long one it waits longer.
    """

    scope: str
    interval_s: float
    cluster: ClusterClient
    event_filter: EventFilter
    put: Put
    stopped: threading.Event
    _backoff: Backoff = field(default_factory=lambda: Backoff(rng=random.Random()), init=False)

    def run(self) -> None:
        wait_s = self.interval_s
        while not self.stopped.wait(wait_s):
            started = time.monotonic()
            try:
                self._list()
            except Stopped:
                return
            except Exception as exc:  # the watch continues, and the next list may succeed
                log.warning("relist.failed", scope=self.scope, error=str(exc))
                wait_s = self._backoff.next_s(exc.retry_after_s if isinstance(exc, ClusterError) else None)
            else:
                self._backoff.reset()
                wait_s = relist_wait_s(self.interval_s, time.monotonic() - started)

    def _list(self) -> None:
        for page in list_pages(self.cluster, self.scope):
            for raw in page.items or []:
                for event in self.event_filter.accept(raw):
                    self.put(BufferItem(self.scope, monotonic_s(), event, is_relist=True))
