"""The configured queries and counters as metric sources."""

from __future__ import annotations

from collections.abc import Iterator

from collector_analytics.configured.counters import CounterSource
from collector_analytics.configured.queries import QuerySource
from taskcore.metrics import MetricSource
from taskcore.settings import Settings


def configured_sources(settings: Settings) -> Iterator[MetricSource]:
    for name, query in settings.analytics.queries.items():
        yield QuerySource(name, query)
    for name, counter in settings.analytics.counters.items():
        yield CounterSource(name, counter)
