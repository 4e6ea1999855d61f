"""Gauges that are read from the database when Prometheus scrapes them, and then cached for a while."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, wait

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.engine import is_database_unavailable
from taskworker.coordinator.database import Database

#: A scrape does not wait longer for a read; the next one gets its result.
SCRAPE_WAIT_S = 2.0
#: A read that takes long is followed by a pause of this many times as long.
PAUSE_FACTOR = 5.0

log = structlog.stdlib.get_logger(__name__)


class PolledGauges(Collector, ABC):
    """Called on any thread but that of `loop`, which runs `engine`.

    A read that takes longer than `wait_s` goes on behind the scrape, and the last values are served. `AGE_METRIC` says
    how old they are. Once the database is unavailable there are no values.
    """

    AGE_METRIC: str
    wait_s = SCRAPE_WAIT_S

    def __init__(self, engine: AsyncEngine, loop: asyncio.AbstractEventLoop, cache_s: float = 10.0) -> None:
        self._database = Database(engine)
        self._loop = loop
        self._cache_s = cache_s
        self._lock = threading.Lock()
        self._reading: Future[Sequence[Metric]] | None = None
        self._began_at = self._read_at = 0.0
        self._refresh_at = -math.inf
        self._gauges: Sequence[Metric] = ()

    @abstractmethod
    async def read(self, database: Database) -> Sequence[Metric]:
        """Return the current values."""

    def on_failure(self) -> None:
        """Forget what earlier reads found."""

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            if self._reading is None and time.monotonic() >= self._refresh_at:
                self._began_at = time.monotonic()
                self._reading = asyncio.run_coroutine_threadsafe(self.read(self._database), self._loop)
            if self._reading is not None:
                self._take(self._reading)
            return [*self._gauges, self._age()] if self._gauges else ()

    def _take(self, reading: Future[Sequence[Metric]]) -> None:
        if not wait([reading], self.wait_s).done:
            return
        try:
            self._gauges, self._read_at = reading.result(), self._began_at
        except Exception as exc:  # the missing gauges raise an alert
            self._gauges = ()
            self.on_failure()
            if not is_database_unavailable(exc):
                log.exception("gauges.read_failed", metric=self.AGE_METRIC)
        now = time.monotonic()
        self._reading, self._refresh_at = None, now + max(self._cache_s, PAUSE_FACTOR * (now - self._began_at - 1))

    def _age(self) -> Metric:
        age_s = time.monotonic() - self._read_at
        return GaugeMetricFamily(self.AGE_METRIC, "How old the gauges are that were read from the database", age_s)


def labelled_gauge(
    name: str, documentation: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]
) -> Metric:
    """Return a gauge with a value for each combination of label values."""
    gauge = GaugeMetricFamily(name, documentation, labels=labels)
    for label_values, value in values:
        gauge.add_metric(label_values, value)
    return gauge
