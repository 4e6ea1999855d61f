"""The interface of metric sources: what a source implements, what it gets, and how installed sources are found.

A distribution registers its sources under the entry-point group `taskcore.metrics`. Every collector that has the
distribution installed then measures them. docs/analytics.md has an example.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import entry_points
from typing import Any, ClassVar

import psycopg
import structlog
from sqlalchemy import Connection

from taskcore.domain.metrics import Kind, Metric, Sample, Window
from taskcore.plugins.context import TaskContext
from taskcore.settings import Settings

__all__ = [
    "ENTRY_POINT_GROUP",
    "Kind",
    "Metric",
    "MetricContext",
    "MetricSource",
    "Sample",
    "Window",
    "load_sources",
    "without_conflicts",
]

ENTRY_POINT_GROUP = "taskcore.metrics"

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MetricContext:
    """What a source gets for one measurement.

    `database` is Taskcore's own, in the transaction that stores the samples. `bucket` is the time bucket that is
    measured. A source that `is_windowed` counts what happened in `window`, and gets each window exactly once; for
    others `window` is from the bucket's start until now. `is_first`: no sample of the source is stored yet.
    """

    task: TaskContext
    database: Connection
    bucket: datetime
    window: Window
    is_first: bool = False

    @property
    def settings(self) -> Settings:
        """The settings as of now, live ones included."""
        return self.task.settings

    def databases(self, name: str) -> AbstractContextManager[psycopg.Connection[Any]]:
        """Connect to one of the operator's databases, as `TaskContext.database` does."""
        return self.task.database(name)


class MetricSource(ABC):
    """Measures some metrics. An error in one source does not affect the others.

    `name` must be unique and must not change, because stored samples refer to it. A source that `is_windowed` counts
    events instead of reading a state: it is called once for each window of time, also later for windows that it missed.
    """

    name: str
    is_windowed: ClassVar[bool] = False

    @abstractmethod
    def describe(self) -> Iterable[Metric]:
        """Return the metrics that this source may have samples of. No other source may have them."""

    @abstractmethod
    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        """Measure. Return at most one sample for each metric, set of labels and bucket.

        No sample is better than a doubtful one: raise an exception, and none is stored this time.
        """


def load_sources() -> Sequence[MetricSource]:
    """Return one instance of every installed source. Sources that cannot be loaded are logged and left out."""
    sources = []
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name):
        try:
            sources.append(_instantiate(entry.load()))
        except Exception:  # foreign code may raise anything, and the other sources must still be measured
            log.exception("metrics.load_failed", source=entry.name, target=entry.value)
    return without_conflicts(sources)


def without_conflicts(sources: Iterable[MetricSource]) -> Sequence[MetricSource]:
    """Return `sources` without those whose name or metrics an earlier one has; they are logged."""
    kept: list[MetricSource] = []
    names: set[str] = set()
    metrics: set[str] = set()
    for source in sources:
        own = {metric.name for metric in source.describe()}
        if source.name in names or own & metrics:
            log.error("metrics.name_conflict", source=source.name, metrics=sorted(own & metrics))
            continue
        kept.append(source)
        names.add(source.name)
        metrics |= own
    return kept


def _instantiate(cls: Any) -> MetricSource:
    if not (inspect.isclass(cls) and issubclass(cls, MetricSource)):
        raise TypeError(f"{cls!r} is not a subclass of taskcore.metrics.MetricSource")
    source = cls()
    if not isinstance(getattr(source, "name", None), str):
        raise TypeError(f"{cls.__qualname__}.name is not text")
    return source
