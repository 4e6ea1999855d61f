"""The task type `collect_analytics`, which collects from every source and stores the samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from collector_analytics.configured.counters import CounterSource
from collector_analytics.configured.queries import QuerySource
from collector_analytics.measurement import TIMEOUT, CollectionRun, measure
from taskcore.db.analytics import samples
from taskcore.db.engine import sync_engine
from taskcore.db.live_settings import list_overrides
from taskcore.errors import TaskcoreError, first_line
from taskcore.live_settings import CurrentSettings, to_overrides
from taskcore.metrics import MetricSource, load_sources, without_conflicts
from taskcore.plugins import Parameters, Plugin, RetryPolicy, TaskContext
from taskcore.settings import Settings

QUEUE = "analytics"
NOT_CONFIGURED = (
    "not in this worker's settings; give it the settings of the collector, or keep it from serving the queue analytics"
)


class CollectionFailed(TaskcoreError):
    """Some sources could not be measured; the samples of the others are stored."""


class CollectAnalyticsParameters(Parameters, frozen=True):
    """The names of the configured sources, so that a worker that lacks one fails instead of skipping it."""

    configured: tuple[str, ...] = ()


class CollectAnalytics(Plugin[CollectAnalyticsParameters]):
    """Runs at most one at a time, by the overlap rule of its schedule."""

    name = "collect_analytics"
    description = "Measures how Taskcore and the configured products are used, and stores the samples."
    queue = QUEUE
    retry = RetryPolicy(max_attempts=3, waits=(timedelta(seconds=5), timedelta(seconds=30)))
    timeout = TIMEOUT

    def run(self, ctx: TaskContext, params: CollectAnalyticsParameters) -> object:
        url = ctx.settings.database_url.get_secret_value()
        engine = sync_engine(url, name="collect_analytics", pool_size=1, pooler=ctx.settings.database_pooler)
        try:
            sources = without_conflicts([*load_sources(), *configured_sources(ctx.settings)])
            return collect_all(ctx, engine, sources, params.configured)
        finally:
            engine.dispose()


def configured_sources(settings: Settings) -> Iterator[MetricSource]:
    for name, query in settings.analytics.queries.items():
        yield QuerySource(name, query)
    for name, counter in settings.analytics.counters.items():
        yield CounterSource(name, counter)


def collect_all(
    ctx: TaskContext, engine: Engine, sources: Sequence[MetricSource], expected: Iterable[str] = ()
) -> dict[str, Any]:
    """Collect from all `sources`. Return the time, the width of a bucket, and the number of samples by source.

    Raises:
        CollectionFailed: some sources failed, or some of the `expected` ones are missing. The others have been stored,
            so the next attempt only collects from those that failed.
    """
    run = _start_run(ctx, engine)
    stored: dict[str, int] = {}
    known = {source.name for source in sources}
    failures = {name: NOT_CONFIGURED for name in expected if name not in known}
    for source in sources:
        ctx.check()
        try:
            stored[source.name] = measure(source, run)
        except Exception as exc:  # a source may raise anything; collect from the others, then fail the attempt
            ctx.check()  # a cancelled task also makes the query fail
            failures[source.name] = first_line(getattr(exc, "orig", None) or exc)
            ctx.log.warning("source failed", source=source.name, error=failures[source.name])
    if failures:
        raise CollectionFailed("; ".join(f"{name}: {error}" for name, error in failures.items()))
    return {"at": run.at.isoformat(), "bucket_s": run.bucket_width.total_seconds(), "stored": stored}


def _start_run(ctx: TaskContext, engine: Engine) -> CollectionRun:
    """Read the clock and the live settings: the process has its settings from when it started."""
    with engine.connect() as connection:
        clock = connection.execute(samples.read_clock()).one()
        current = CurrentSettings(ctx.settings)
        current.apply_overrides(to_overrides(connection.execute(list_overrides()).all()))
    task = replace(ctx, settings=current.now)
    return CollectionRun(task, engine, clock.at, clock.settled, timedelta(seconds=current.now.analytics.interval_s))
