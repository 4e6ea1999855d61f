"""`collect_analytics`: measures with every source, each on its own, and stores the samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from collector_analytics.configured.sources import configured_sources
from collector_analytics.measurement import CollectionRun, measure
from taskcore.db.analytics import samples
from taskcore.db.engine import sync_engine
from taskcore.db.overrides import list_overrides
from taskcore.errors import TaskcoreError
from taskcore.live_settings import CurrentSettings, to_overrides
from taskcore.metrics import MetricSource, load_sources, without_conflicts
from taskcore.plugins import Parameters, Plugin, RetryPolicy, TaskContext
from taskcore.settings import Settings, seconds

QUEUE = "analytics"
NOT_CONFIGURED = (
    "this worker's settings do not have it; give it those of the collector, or keep it from the queue analytics"
)


class CollectionFailed(TaskcoreError):
    """Some sources could not be measured; what the others said is stored."""


class CollectAnalyticsParameters(Parameters, frozen=True):
    #: The operator's sources: a worker whose settings do not have them must say so, and not leave them out silently.
    configured: tuple[str, ...] = ()


class CollectAnalytics(Plugin[CollectAnalyticsParameters]):
    name = "collect_analytics"
    description = "Measures how Taskcore and what the operator named are used, and stores the samples."
    queue = QUEUE
    retry = RetryPolicy(max_attempts=3, waits=(timedelta(seconds=5), timedelta(seconds=30)))
    timeout = timedelta(hours=1)  # while it runs no other does: a source that hangs must not end all measuring

    def run(self, ctx: TaskContext, params: CollectAnalyticsParameters) -> object:
        url = ctx.settings.database_url.get_secret_value()
        engine = sync_engine(url, name="collect_analytics", pool_size=1)
        try:
            return collect_all(ctx, engine, all_sources(ctx.settings), params.configured)
        finally:
            engine.dispose()


def all_sources(settings: Settings) -> Sequence[MetricSource]:
    """Those that are installed, and then the operator's."""
    return without_conflicts([*load_sources(), *configured_sources(settings)])


def collect_all(
    ctx: TaskContext, engine: Engine, sources: Sequence[MetricSource], expected: Iterable[str] = ()
) -> dict[str, Any]:
    """Answers what time it was, how long a bucket is, and how many samples of each source were stored.

    Raises:
        CollectionFailed: after all have been asked, when some could not be measured, or of those `expected` some are
            not there. Asked again, they alone are.
    """
    now = _round(ctx, engine)
    stored: dict[str, int] = {}
    known = {source.name for source in sources}
    failures = {name: NOT_CONFIGURED for name in expected if name not in known}
    for source in sources:
        ctx.check()
        try:
            stored[source.name] = measure(source, now)
        except Exception as exc:  # a source's errors are its own: the others are measured, and then the attempt fails
            ctx.check()  # unless that is what a cancelled query looks like
            failures[source.name] = _in_short(exc)
            ctx.log.warning("a source could not be measured", source=source.name, error=failures[source.name])
    if failures:
        raise CollectionFailed("; ".join(f"{name}: {error}" for name, error in failures.items()))
    return {"at": now.at.isoformat(), "bucket_s": now.bucket_width.total_seconds(), "stored": stored}


def _round(ctx: TaskContext, engine: Engine) -> CollectionRun:
    """Under the settings as they are now: those of the process do not have what was changed since it started."""
    with engine.connect() as connection:
        clock = connection.execute(samples.read_clock()).one()
        current = CurrentSettings(ctx.settings)
        current.apply_overrides(to_overrides(connection.execute(list_overrides()).all()))
    task = replace(ctx, settings=current.now)
    return CollectionRun(task, engine, clock.at, clock.settled, seconds(current.now.analytics.interval_s))


def _in_short(exc: Exception) -> str:
    """Without the statement and its parameters, which may be long."""
    lines = str(getattr(exc, "orig", None) or exc).splitlines()
    return lines[0] if lines else type(exc).__name__
