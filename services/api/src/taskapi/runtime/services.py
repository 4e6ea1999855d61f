"""The services that handlers use. They live as long as the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Self

from litestar.di import NamedDependency

from taskapi.runtime.completion_waiters import CompletionWaiters
from taskapi.runtime.database import Database
from taskapi.runtime.notifier import Notifier
from taskapi.runtime.queue_names import QueueNames
from taskapi.runtime.trace_sources import Traces
from taskapi.runtime.type_cache import TypeCache
from taskcore.live_settings import CurrentSettings, SettingsWatcher
from taskcore.observability.tracing.memory_store import InMemorySpanStore
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskcore.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """`draining` is set once the process is asked to stop, while it still serves."""

    database: Database
    type_cache: TypeCache
    queue_names: QueueNames
    notifier: Notifier
    completion_waiters: CompletionWaiters
    settings: CurrentSettings
    settings_watcher: SettingsWatcher
    traces: Traces
    tracing: Tracing = NO_TRACING
    draining: Event = field(default_factory=Event)

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        tracing: Tracing = NO_TRACING,
        span_store: InMemorySpanStore | None = None,
    ) -> Self:
        """Return the services, without any connection: the process also starts while the database is unavailable."""
        database = Database.from_settings(settings, tracing)
        current = CurrentSettings(settings)
        watcher = SettingsWatcher(current, database.read, name="taskapi settings")
        waiters = CompletionWaiters(settings.direct_url, database, settings.api.max_waiting)
        traces = Traces.from_settings(settings, span_store)
        return cls(
            database,
            TypeCache(database),
            QueueNames(database, current),
            Notifier(database),
            waiters,
            current,
            watcher,
            traces,
            tracing,
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        watching = asyncio.create_task(self.settings_watcher.run(), name="settings")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            await self.completion_waiters.close()
            await self.traces.close()
            await self.notifier.close()
            await self.database.close()


#: The services as a parameter of a handler.
AppServices = NamedDependency[Services]
