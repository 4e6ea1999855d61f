"""A list beside the watch, every few minutes: whatever the watch may have missed is found. It moves no cursor."""

from __future__ import annotations

import random
import threading

import structlog

from collector_k8s.backoff import Backoff
from collector_k8s.clock import elapsed_s
from collector_k8s.cluster.client import Cluster, ClusterError
from collector_k8s.cluster.event_pages import pages
from collector_k8s.ingest.buffer import Over
from collector_k8s.ingest.event_filter import Intake
from collector_k8s.ingest.reflector import Put
from collector_k8s.store.event_store import Item

log = structlog.stdlib.get_logger(__name__)


class Repeater:
    """For one thread, until `over` is set."""

    def __init__(
        self, scope: str, every_s: float, cluster: Cluster, intake: Intake, put: Put, over: threading.Event
    ) -> None:
        self._scope = scope
        self._every_s = every_s
        self._cluster = cluster
        self._intake = intake
        self._put = put
        self._over = over
        self._backoff = Backoff(random.Random())

    def run(self) -> None:
        wait_s = self._every_s
        while not self._over.wait(wait_s):
            try:
                self._list()
            except Over:
                return
            except Exception as exc:  # the watch goes on, and the next list may succeed
                log.warning("list.failed", scope=self._scope, error=str(exc))
                wait_s = self._backoff.next_s(exc.retry_after_s if isinstance(exc, ClusterError) else None)
            else:
                self._backoff.reset()
                wait_s = self._every_s

    def _list(self) -> None:
        for page in pages(self._cluster, self._scope):
            for raw in page.items or []:
                if (event := self._intake.read(raw)) is not None:
                    self._put(Item(self._scope, elapsed_s(), event, is_repeat=True))
