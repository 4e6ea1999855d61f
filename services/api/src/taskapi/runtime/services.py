"""What the handlers work with, opened and closed with the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Self

from prometheus_client import REGISTRY, CollectorRegistry

from taskapi.runtime.completion_waiters import Finishes
from taskapi.runtime.database import Database
from taskapi.runtime.notifier import Wakeups
from taskapi.runtime.trace_sources import Traces
from taskapi.runtime.type_cache import Catalogue
from taskcore.live_settings import CurrentSettings, Follower
from taskcore.observability.multiprocess_metrics import page
from taskcore.observability.tracing.memory_store import LocalSpans
from taskcore.observability.tracing.provider import OFF, Tracing
from taskcore.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """`leaving` is set when the process was told to stop, and still answers. `metrics` are what `/metrics` tells."""

    database: Database
    catalogue: Catalogue
    wakeups: Wakeups
    finishes: Finishes
    settings: CurrentSettings
    follower: Follower
    metrics: CollectorRegistry
    traces: Traces
    tracing: Tracing = OFF
    leaving: Event = field(default_factory=Event)

    @classmethod
    def of(
        cls,
        settings: Settings,
        tracing: Tracing = OFF,
        metrics: CollectorRegistry | None = None,
        local: LocalSpans | None = None,
    ) -> Self:
        """Nothing is connected yet: the process starts whether the database is there or not."""
        url = settings.database_url.get_secret_value()
        database = Database.at(url, tracing)
        current = CurrentSettings(settings)
        follower = Follower(current, database.read, name="taskapi settings")
        finishes = Finishes(url, database)
        told = metrics or page("api", REGISTRY)
        traces = Traces.of(settings, local)
        return cls(database, Catalogue(database), Wakeups(database), finishes, current, follower, told, traces, tracing)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        following = asyncio.create_task(self.follower.run(), name="settings")
        try:
            yield
        finally:
            following.cancel()
            await asyncio.wait([following])
            await self.finishes.close()
            await self.traces.close()
            await self.wakeups.close()
            await self.database.close()
