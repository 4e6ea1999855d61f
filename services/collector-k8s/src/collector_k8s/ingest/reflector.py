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
from collector_k8s.clock import elapsed_s
from collector_k8s.cluster.client import Cluster, ClusterError, Expired, Silent
from collector_k8s.cluster.event_pages import pages
from collector_k8s.cluster.watch import Told, Watch, version_of
from collector_k8s.health import Status
from collector_k8s.ingest.buffer import Over
from collector_k8s.ingest.event_filter import Intake
from collector_k8s.metrics import RECONNECTS
from collector_k8s.store.event_store import Item
from taskcore.settings import KubernetesSettings

#: A watch that lasted so long was none of those that fail at once.
LASTING_S = 10.0
#: One that the server ended sooner, with nothing told, was none.
SHORT_S = 0.5

log = structlog.stdlib.get_logger(__name__)

Put = Callable[[Item], None]


class Reader:
    """For one thread, until `over` is set. `position` and `heard_at` (of `elapsed_s`) are where the last left off."""

    def __init__(
        self,
        scope: str,
        settings: KubernetesSettings,
        cluster: Cluster,
        intake: Intake,
        put: Put,
        status: Status,
        over: threading.Event,
        position: str | None = None,
        heard_at: float | None = None,
    ) -> None:
        self._scope = scope
        self._settings = settings
        self._cluster = cluster
        self._intake = intake
        self._put = put
        self._status = status
        self._over = over
        self._position = position
        self._heard_at = heard_at
        self._backoff = Backoff(random.Random())
        self._watch: Watch | None = None

    def run(self) -> None:
        while not self._over.is_set():
            begun = time.monotonic()
            try:
                self._go_on()
            except Over:
                return
            except Exception as exc:  # whatever it is: nobody else reads these events
                if not self._over.is_set():
                    self._recover(exc, time.monotonic() - begun)

    def interrupt(self) -> None:
        """Once `over` is set: do not wait for the next line."""
        if (watch := self._watch) is not None:
            watch.close()

    def _go_on(self) -> None:
        """To the end of a watch."""
        if self._position is None:
            self._position = self._list()
        begun, heard_at = time.monotonic(), self._heard_at
        watch = self._watch = Watch(self._cluster, self._scope, self._position)
        try:
            self._status.connected(self._scope)
            for told in watch:
                if self._over.is_set():
                    return
                self._take(told)
            if self._heard_at == heard_at and time.monotonic() - begun < SHORT_S:
                self._pause()
            else:
                self._end()
        finally:
            self._watch = None
            watch.release()

    def _list(self) -> str:
        """Everything that there is. What happened since the last position and is gone by now is lost."""
        begun = elapsed_s()
        version = ""
        for page in pages(self._cluster, self._scope):
            self._status.connected(self._scope)
            for raw in page.items or []:
                if (event := self._intake.read(raw)) is not None:
                    self._put(Item(self._scope, elapsed_s(), event))
            version = version or page.metadata.resource_version
        if not version:
            raise ClusterError("The list has no version to go on from.")
        lost_since, self._heard_at = self._lost_since(begun), begun
        self._status.listed(self._scope)
        self._put(Item(self._scope, begun, position=version, lost_since=lost_since))
        return version

    def _lost_since(self, now: float) -> float | None:
        """Events live for so long: what is not in a list that comes later than that cannot be known."""
        if self._heard_at is None or now - self._heard_at <= self._settings.event_ttl_s:
            return None
        log.error("events.lost", scope=self._scope, silent_s=round(now - self._heard_at))
        return self._heard_at

    def _take(self, told: Told) -> None:
        """Deleted events are those whose time is up: they stay, here."""
        self._position = version = version_of(told.object) or self._position
        self._heard_at = heard_at = elapsed_s()
        self._backoff.reset()
        (self._status.bookmarked if told.type == "BOOKMARK" else self._status.heard)(self._scope)
        if told.type in ("ADDED", "MODIFIED") and (event := self._intake.read(told.object)) is not None:
            self._put(Item(self._scope, heard_at, event, version))
        elif told.type == "BOOKMARK":
            self._put(Item(self._scope, heard_at, position=version))
        if elapsed_s() - heard_at > 2 * self._settings.bookmark_s:
            # What waits in the connection is as old. Asked again, the cluster says whether it still knows the rest.
            raise ClusterError("What was read had to wait too long to be stored: the watch is begun again.")

    def _end(self) -> None:
        """The server ended the watch in order: it is there, and everything up to here was told."""
        self._backoff.reset()
        self._status.heard(self._scope)
        self._heard_at = elapsed_s()
        self._put(Item(self._scope, self._heard_at, position=self._position))

    def _recover(self, trouble: Exception, lasted_s: float) -> None:
        RECONNECTS.labels(self._settings.cluster).inc()
        self._status.trouble(self._scope, str(trouble))
        if isinstance(trouble, Expired) and self._position is not None:
            log.warning("watch.expired", scope=self._scope, position=self._position, error=str(trouble))
            self._position = None
        elif isinstance(trouble, Silent) and not self._status.has_bookmarks(self._scope):
            self._position = None  # it may be quiet there, or the connection half-open: a list tells
        elif isinstance(trouble, ClusterError):
            log.warning("cluster.trouble", scope=self._scope, status=trouble.status, error=str(trouble))
        else:
            log.error("reader.failed", scope=self._scope, exc_info=trouble)
        if lasted_s > LASTING_S:
            self._backoff.reset()
        self._pause(trouble.retry_after_s if isinstance(trouble, ClusterError) else None)

    def _pause(self, at_least_s: float | None = None) -> None:
        self._over.wait(self._backoff.next_s(at_least_s))
