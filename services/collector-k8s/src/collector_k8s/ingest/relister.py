"""A periodic list beside the watch, which finds what the watch missed. It does not move the cursor."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field

import structlog

from collector_k8s.clock import monotonic_s
from collector_k8s.cluster.client import ClusterClient, ClusterError
from collector_k8s.cluster.event_pages import list_pages
from collector_k8s.events.buffer_item import BufferItem
from collector_k8s.ingest.buffer import Put, Stopped
from collector_k8s.ingest.event_filter import EventFilter
from taskcore.domain.backoff import Backoff

log = structlog.stdlib.get_logger(__name__)


@dataclass(eq=False)
class Relister:
    """Lists one scope every `interval_s` in one thread, until `stopped` is set."""

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
            try:
                self._list()
            except Stopped:
                return
            except Exception as exc:  # the watch continues, and the next list may succeed
                log.warning("relist.failed", scope=self.scope, error=str(exc))
                wait_s = self._backoff.next_s(exc.retry_after_s if isinstance(exc, ClusterError) else None)
            else:
                self._backoff.reset()
                wait_s = self.interval_s

    def _list(self) -> None:
        for page in list_pages(self.cluster, self.scope):
            for raw in page.items or []:
                if (event := self.event_filter.accept(raw)) is not None:
                    self.put(BufferItem(self.scope, monotonic_s(), event, is_relist=True))
