"""Gauges of the backlog: of queues, of what waits for something, and of what runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db import monitoring
from taskcore.db.queues import backlog, outbox, unserved
from taskcore.observability.metrics import MAX_QUEUE_LABELS, QUEUE_LABELS, BoundedLabels
from taskworker.coordinator.database import Database
from taskworker.coordinator.polled_gauges import PolledGauges, labelled_gauge


class BacklogCollector(PolledGauges):
    AGE_METRIC = "taskcore_backlog_age_seconds"

    def __init__(
        self,
        engine: AsyncEngine,
        loop: asyncio.AbstractEventLoop,
        cache_s: float = 10.0,
        queue_labels: BoundedLabels = QUEUE_LABELS,
    ) -> None:
        super().__init__(engine, loop, cache_s)
        self._queue_labels = queue_labels
        self._type_labels = BoundedLabels(MAX_QUEUE_LABELS)
        self._heads: dict[str, int] = {}

    def on_failure(self) -> None:
        self._heads = {}

    async def read(self, database: Database) -> Sequence[Metric]:
        queues = await database.execute(backlog.queue_backlogs())
        ((next_due_s,),) = await database.execute(outbox.next_due())
        counts = {row.what: row.count for row in await database.execute(backlog.active_counts())}
        live = counts.pop(backlog.LIVE_WORKERS)
        lag_s = max(self._stuck_s(queues), -float(next_due_s or 0), 0.0)
        return [
            *_queue_gauges(queues, self._queue_labels),
            GaugeMetricFamily(
                "taskcore_outbox_lag_seconds", "How long the next message has waited for the relay", lag_s
            ),
            labelled_gauge("taskcore_tasks", "Unfinished tasks", ["status"], (([s], n) for s, n in counts.items())),
            GaugeMetricFamily("taskcore_workers_live", "Workers that hold a lease", live),
            await self._unserved(database),
            await self._paused(database),
            await _blocked(database),
            await self._running(database),
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

    async def _unserved(self, database: Database) -> Metric:
        counts: Counter[str] = Counter()
        for row in await database.execute(unserved.parked_counts()):
            counts[self._type_labels[row.type]] += row.count
        values = (([type_], count) for type_, count in counts.items())
        return labelled_gauge("taskcore_unserved_tasks", "Due tasks whose type no live worker knows", ["type"], values)

    async def _paused(self, database: Database) -> Metric:
        rows = await database.execute(monitoring.paused_queues())
        values = {self._queue_labels[row.name]: float(row.paused_s) for row in rows}
        return labelled_gauge(
            "taskcore_queue_paused_seconds",
            "How long the queue has been paused",
            ["queue"],
            (([queue], seconds) for queue, seconds in values.items()),
        )

    async def _running(self, database: Database) -> Metric:
        ages: dict[tuple[str, str], float] = {}
        for row in await database.execute(monitoring.oldest_attempts()):
            labels = self._type_labels[row.type], str(row.has_timeout).lower()
            ages[labels] = max(ages.get(labels, 0.0), row.age_s)
        return labelled_gauge(
            "taskcore_attempt_oldest_seconds",
            "How long the longest of the running attempts has run",
            ["type", "has_timeout"],
            ages.items(),
        )


async def _blocked(database: Database) -> Metric:
    age_s = max((row[0] for row in await database.execute(monitoring.oldest_blocked())), default=0.0)
    return GaugeMetricFamily("taskcore_blocked_oldest_seconds", "How long the oldest blocked task has existed", age_s)


def _queue_gauges(queues: Sequence[Any], labels: BoundedLabels) -> Iterable[Metric]:
    depths: Counter[str] = Counter()
    ages: dict[str, float] = {}
    for row in queues:
        name = labels[row.name]
        depths[name] += row.depth
        ages[name] = max(ages.get(name, 0.0), float(row.oldest_age_s or 0))
    return [
        labelled_gauge(name, documentation, ["queue"], (([queue], value) for queue, value in values.items()))
        for name, documentation, values in (
            ("taskcore_queue_depth", "Tasks that are due and unclaimed", depths),
            ("taskcore_queue_oldest_age_seconds", "How long the oldest of them has been due", ages),
        )
    ]
