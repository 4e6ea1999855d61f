"""The coordinator as one coroutine. Each of its loops survives an outage of the database or the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, async_engine, is_database_unavailable
from taskcore.db.notify import DEPENDENTS, OUTBOX, SCHEDULES, Listener
from taskcore.live_settings import CurrentSettings, SettingsWatcher
from taskcore.messaging.publisher import Publisher
from taskcore.observability.outages import DATABASE
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskcore.settings import Settings
from taskworker.coordinator.database import Database
from taskworker.coordinator.dependency_resolver import DependencyResolver
from taskworker.coordinator.queue_retention import QueueRetention
from taskworker.coordinator.relay import Relay
from taskworker.coordinator.rescuer import Rescuer
from taskworker.coordinator.retention import Retention
from taskworker.coordinator.scheduler import Scheduler

RETRY_S = 1.0

log = structlog.stdlib.get_logger(__name__)


def coordinator_engine(settings: Settings) -> AsyncEngine:
    url = settings.database_url.get_secret_value()
    return async_engine(
        url,
        name="taskworker coordinate",
        pool_size=10,  # a connection for each loop and for the gauges, so that a slow statement delays no other loop
        options=KEY_LOOKUP_OPTIONS,
        pooler=settings.database_pooler,
    )


async def coordinate(
    current: CurrentSettings,
    engine: AsyncEngine,
    publisher: Publisher,
    *,
    on_round: Callable[[], None] = lambda: None,
    tracing: Tracing = NO_TRACING,
) -> None:
    """Run until cancelled. Each round of the relay calls `on_round`: it is alive and has reached the database."""
    database = Database(engine)
    watcher = SettingsWatcher(current, database.execute, name="taskworker coordinate, settings")
    relay = Relay(database, publisher, current, on_round, tracing)
    resolver = DependencyResolver(database, on_unblocked=relay.wake)
    scheduler = Scheduler(database, on_fired=relay.wake)
    retention = Retention(database, current)
    queue_retention = QueueRetention(database, publisher, current)

    def on_rescued() -> None:
        relay.wake()
        resolver.wake()

    rescuer = Rescuer(database, current, publisher.is_worker_gone, on_rescued)
    listeners = [
        Listener(current.base.direct_url, channel, name="taskworker coordinate, listening", on_wake=on_wake)
        for channel, on_wake in ((OUTBOX, relay.wake), (DEPENDENTS, resolver.wake), (SCHEDULES, scheduler.wake))
    ]
    try:
        await watcher.refresh()
        async with asyncio.TaskGroup() as loops:
            for run in (
                *(watcher.run, relay.run, rescuer.run, retention.run),
                *(queue_retention.run, resolver.run, scheduler.run),
            ):
                loops.create_task(_run_forever(run))
            for listener in listeners:
                loops.create_task(_run_forever(listener.run))
    finally:
        await publisher.close()


async def _run_forever(run: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await run()
        except Exception as exc:  # the loop must survive any error, so log it and start again
            if is_database_unavailable(exc):
                DATABASE.failed(exc)
            else:
                log.exception("coordinator.failed")
        await asyncio.sleep(RETRY_S)
