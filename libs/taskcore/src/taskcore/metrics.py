"""The interface of what can be measured: sources of metrics, what they get, and how installed ones are found.

    class Carts(MetricSource):
        name = "carts"

        def describe(self) -> Iterable[Metric]:
            return [Metric("carts_open", "Carts that nobody has paid for yet")]

        def collect(self, ctx: MetricContext) -> Iterable[Sample]:
            with ctx.databases("shop") as connection:
                for (count,) in connection.execute("SELECT count(*) FROM cart WHERE paid_at IS NULL"):
                    yield Sample("carts_open", count)

Installed is measured: a distribution that names the class under the entry-point group `taskcore.metrics` adds the
source to every collector that has it installed.
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
    """What a source may know and use.

    `database` is Taskcore's own. `bucket` names what is measured now. `window`: for a source that `is_windowed`,
    what it is to count, each window exactly once, in the transaction of `database`; for others from the bucket's start
    until now. `is_first`: nothing of the source was ever stored.
    """

    task: TaskContext
    database: Connection
    bucket: datetime
    window: Window
    is_first: bool = False

    @property
    def settings(self) -> Settings:
        """As they are now, the live ones too."""
        return self.task.settings

    def databases(self, name: str) -> AbstractContextManager[psycopg.Connection[Any]]:
        """One of the operator's databases, as `TaskContext.database` has it."""
        return self.task.database(name)


class MetricSource(ABC):
    """Measures some metrics. Its errors are its own: the others are stored.

    `name` is its own, too, and stays: what was stored is known by it. `is_windowed`: it measures what happened
    rather than how things stand. Then it is asked for each window of time once, and later for those that were missed.
    """

    name: str
    is_windowed: ClassVar[bool] = False

    @abstractmethod
    def describe(self) -> Iterable[Metric]:
        """The metrics that it may answer samples of; no other source has them."""

    @abstractmethod
    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        """Measure. No sample is better than one that is not sure: an exception leaves all of them out, for now.

        At most one for a metric with the same labels and bucket.
        """


def load_sources() -> Sequence[MetricSource]:
    """One instance of every installed source. One that cannot be loaded is logged and left out."""
    sources = []
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name):
        try:
            sources.append(_instantiate(entry.load()))
        except Exception:  # whatever a stranger's code raises must not keep the others from being measured
            log.exception("metrics.load_failed", source=entry.name, target=entry.value)
    return without_conflicts(sources)


def without_conflicts(sources: Iterable[MetricSource]) -> Sequence[MetricSource]:
    """Those of `sources` whose name and metrics no earlier one has; the others are logged and left out."""
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
