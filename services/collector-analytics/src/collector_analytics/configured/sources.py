"""The settings' queries and counters as sources."""

from __future__ import annotations

from collections.abc import Iterator

from collector_analytics.configured.counters import Counter
from collector_analytics.configured.queries import Query
from taskcore.metrics import MetricSource
from taskcore.settings import Settings


def operator_sources(settings: Settings) -> Iterator[MetricSource]:
    for name, query in settings.analytics.queries.items():
        yield Query(name, query)
    for name, counter in settings.analytics.counters.items():
        yield Counter(name, counter)
