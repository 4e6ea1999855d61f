"""Gauges of the backlog, read from the database when Prometheus scrapes them, and then cached for a while."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.engine import is_database_unavailable
from taskcore.db.queues import backlog, outbox
from taskcore.observability.metrics import QUEUE_LABELS, BoundedLabels
from taskworker.coordinator.database import Database

READ_TIMEOUT_S = 2.0

log = structlog.stdlib.get_logger(__name__)


@dataclass(eq=False)
class BacklogCollector(Collector):
    """Called on any thread but that of `loop`, which runs `engine`. Without the database there are no gauges."""

    engine: AsyncEngine
    loop: asyncio.AbstractEventLoop
    cache_s: float = 10.0
    queue_labels: BoundedLabels = QUEUE_LABELS
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _refresh_at: float = field(default=-math.inf, init=False)
    _gauges: Sequence[Metric] = field(default=(), init=False)
    _heads: dict[str, int] = field(default_factory=dict, init=False)

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            if time.monotonic() >= self._refresh_at:
                self._gauges = self._refresh()
                self._refresh_at = time.monotonic() + self.cache_s
            return self._gauges

    def _refresh(self) -> Sequence[Metric]:
        reading = asyncio.run_coroutine_threadsafe(self._read(), self.loop)
        try:
            return reading.result(READ_TIMEOUT_S)
        except Exception as exc:  # the missing gauges raise an alert
            reading.cancel()
            self._heads = {}
            if not is_database_unavailable(exc):
                log.exception("backlog.read_failed")
            return ()

    async def _read(self) -> Sequence[Metric]:
        database = Database(self.engine)
        queues = await database.execute(backlog.queue_backlogs())
        ((next_due_s,),) = await database.execute(outbox.next_due())
        counts = {row.what: row.count for row in await database.execute(backlog.active_counts())}
        live = counts.pop(backlog.LIVE_WORKERS)
        lag_s = max(self._stuck_s(queues), -float(next_due_s or 0), 0.0)
        return [
            *_queue_gauges(queues, self.queue_labels),
            GaugeMetricFamily(
                "taskcore_outbox_lag_seconds", "How long the next message has waited for the relay", lag_s
            ),
            _gauge("taskcore_tasks", "Unfinished tasks", "status", counts),
            GaugeMetricFamily("taskcore_workers_live", "Workers that hold a lease", live),
        ]

    def _stuck_s(self, queues: Sequence[Any]) -> float:
        """Return how long the oldest message waits that was next in its queue at the last refresh already.

        With fast workers there are room and messages to send at almost any moment. A relay that works has moved on by
        the next refresh.
        """
        before, self._heads = self._heads, {row.name: row.head for row in queues if row.head is not None}
        return max(
            (float(row.head_waits_s) for row in queues if row.head and before.get(row.name) == row.head), default=0
        )


def _queue_gauges(queues: Sequence[Any], labels: BoundedLabels) -> Iterable[Metric]:
    depths: Counter[str] = Counter()
    ages: dict[str, float] = {}
    for row in queues:
        name = labels[row.name]
        depths[name] += row.depth
        ages[name] = max(ages.get(name, 0.0), float(row.oldest_age_s or 0))
    return [
        _gauge("taskcore_queue_depth", "Tasks that are due and unclaimed", "queue", depths),
        _gauge("taskcore_queue_oldest_age_seconds", "How long the oldest of them has been due", "queue", ages),
    ]


def _gauge(name: str, documentation: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a gauge with one value for each value of `label`."""
    gauge = GaugeMetricFamily(name, documentation, labels=[label])
    for label_value, value in values.items():
        gauge.add_metric([label_value], value)
    return gauge
