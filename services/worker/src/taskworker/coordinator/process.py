"""The coordinator as one coroutine: its loops, each of which outlives any trouble of the database or the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, async_engine, is_database_unavailable
from taskcore.db.notify import DEPENDENTS, OUTBOX, SCHEDULES, Listener
from taskcore.errors import first_line
from taskcore.live_settings import CurrentSettings, SettingsWatcher
from taskcore.messaging.publisher import Publisher
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskcore.settings import Settings
from taskworker.coordinator.database import execute
from taskworker.coordinator.dependency_resolver import DependencyResolver
from taskworker.coordinator.relay import Relay
from taskworker.coordinator.rescuer import Rescuer
from taskworker.coordinator.retention import Retention
from taskworker.coordinator.scheduler import Scheduler

RETRY_S = 1.0

log = structlog.stdlib.get_logger(__name__)


def coordinator_engine(settings: Settings) -> AsyncEngine:
    url = settings.database_url.get_secret_value()
    return async_engine(url, name="taskworker coordinate", pool_size=4, options=KEY_LOOKUP_OPTIONS)


async def coordinate(
    current: CurrentSettings,
    engine: AsyncEngine,
    publisher: Publisher,
    *,
    on_round: Callable[[], None] = lambda: None,
    tracing: Tracing = NO_TRACING,
) -> None:
    """Until cancelled. `on_round` is called after each round of the relay: it is alive, and the database answers."""
    follower = SettingsWatcher(current, partial(execute, engine), name="taskworker coordinate, settings")
    relay = Relay(engine, publisher, current, on_round, tracing)
    retention = Retention(engine, current)
    url = current.base.database_url.get_secret_value()
    dependents = DependencyResolver(engine, on_unblocked=relay.wake)
    scheduler = Scheduler(engine, on_fired=relay.wake)

    def on_rescued() -> None:
        relay.wake()
        dependents.wake()

    rescuer = Rescuer(engine, current, publisher.is_worker_gone, on_rescued)
    hears_work = Listener(url, OUTBOX, name="taskworker coordinate, listening", on_wake=relay.wake)
    hears_ends = Listener(url, DEPENDENTS, name="taskworker coordinate, listening", on_wake=dependents.wake)
    hears_schedules = Listener(url, SCHEDULES, name="taskworker coordinate, listening", on_wake=scheduler.wake)
    try:
        await follower.refresh()
        async with asyncio.TaskGroup() as loops:
            loops.create_task(_run_forever(follower.run))
            loops.create_task(_run_forever(relay.run))
            loops.create_task(_run_forever(rescuer.run))
            loops.create_task(_run_forever(retention.run))
            loops.create_task(_run_forever(dependents.run))
            loops.create_task(_run_forever(scheduler.run))
            loops.create_task(_run_forever(hears_work.run))
            loops.create_task(_run_forever(hears_ends.run))
            loops.create_task(_run_forever(hears_schedules.run))
    finally:
        await publisher.close()


async def _run_forever(loop: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await loop()
        except Exception as exc:  # a coordinator that gives up helps nobody: say it, wait, go on
            if is_database_unavailable(exc):
                log.warning("database.unavailable", error=first_line(exc))
            else:
                log.exception("coordinator.failed")
        await asyncio.sleep(RETRY_S)
