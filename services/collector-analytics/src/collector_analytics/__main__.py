"""`collector-analytics`: a worker that collects metrics, and the schedule that it runs on."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from typing import Any

import click
from prometheus_client import REGISTRY
from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncEngine

from collector_analytics.collect_analytics import QUEUE, CollectAnalytics
from collector_analytics.schedule import DATABASE_TIMEOUT_S, ScheduleReconciler
from collector_analytics.validation import validate_configured_metrics
from taskcore.db.engine import KEY_LOOKUP_OPTIONS, async_engine, sync_engine
from taskcore.embedded_worker import EmbeddedWorker, drain, stop_signals
from taskcore.leasing.liveness import signal_factory
from taskcore.live_settings import CurrentSettings, SettingsWatcher
from taskcore.messaging.brokers import RabbitBroker
from taskcore.observability.exposition import build_registry
from taskcore.observability.health import HealthServer
from taskcore.observability.logging import set_log_level
from taskcore.observability.tracing.provider import Tracing
from taskcore.plugins import build_plugins
from taskcore.service_main import configure, log_level_option, run_program, version_option
from taskcore.settings import Settings

NAME = "collector-analytics"


@click.command(help="Collect usage metrics on a schedule. Any number of copies shares the work.")
@log_level_option
@version_option
def run(log_level: str | None) -> None:
    settings = _with_own_queue(configure(log_level))
    validate_configured_metrics(settings)
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    url, pooler = settings.database_url.get_secret_value(), settings.database_pooler
    engine = sync_engine(
        url,
        name=NAME,
        pool_size=4,
        options=KEY_LOOKUP_OPTIONS,
        statement_deadline_s=settings.worker.lease_s / 2,
        pooler=pooler,
    )
    broker = RabbitBroker(settings)
    tracing = Tracing.start(settings, "taskcore-collector-analytics").set_global()
    make_signals = signal_factory(settings)
    worker = EmbeddedWorker(settings, engine, broker, build_plugins([CollectAnalytics]), make_signals, tracing)
    health = HealthServer(settings.health, build_registry(NAME, REGISTRY), lambda: worker.is_ready)
    health.start()
    worker.start()
    signals = stop_signals()
    reconciler_engine = async_engine(url, name=NAME, pool_size=1, pooler=pooler)
    reconciling = asyncio.create_task(_reconcile_schedule(settings, reconciler_engine))
    await asyncio.wait([asyncio.create_task(signals.get()), reconciling], return_when=asyncio.FIRST_COMPLETED)
    await drain(worker, settings.worker.grace_s, signals)
    reconciling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reconciling
    health.stop()
    engine.dispose()
    tracing.stop()


async def _reconcile_schedule(settings: Settings, engine: AsyncEngine) -> None:
    """Keep the schedule and the live settings up to date until cancelled."""

    async def read(statement: Executable) -> Sequence[Any]:
        async with asyncio.timeout(DATABASE_TIMEOUT_S), engine.connect() as connection:
            return (await connection.execute(statement)).all()

    current = CurrentSettings(settings)
    current.on_change(lambda: set_log_level(current.now.log.level))
    watcher = SettingsWatcher(current, read, name=f"{NAME}, settings")
    try:
        await watcher.refresh()
        async with asyncio.TaskGroup() as loops:
            loops.create_task(watcher.run())
            loops.create_task(ScheduleReconciler(current, engine).run())
    finally:
        await engine.dispose()


def _with_own_queue(settings: Settings) -> Settings:
    """Return the settings of a worker that runs one task at a time, from the collector's queue."""
    worker = settings.worker.model_copy(update={"queues": (QUEUE,), "threads": 1, "prefetch_short": 0})
    return settings.model_copy(update={"worker": worker})


def main() -> int:
    return run_program(NAME, run)


if __name__ == "__main__":
    sys.exit(main())
