"""Whether the API is live and ready, as its health server reports it from a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from litestar import Litestar
from prometheus_client import CollectorRegistry

from taskapi.runtime.database import Database
from taskapi.runtime.services import Services
from taskcore.errors import first_line
from taskcore.observability.health import HealthServer
from taskcore.settings import Settings

TIMEOUT_S = 2

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class ApiHealth:
    """Asks the event loop that serves the requests, for up to two seconds.

    Neither connections nor requests can keep it from asking: `database` has a connection that no request uses.
    """

    services: Services
    database: Database
    loop: asyncio.AbstractEventLoop
    timeout_s: float = TIMEOUT_S

    def is_live(self) -> bool:
        """Whether the event loop runs."""
        return self._succeeds(asyncio.sleep(0), "loop.unresponsive")

    def is_ready(self) -> bool:
        """Whether the database responds and the process is not draining."""
        return not self.services.draining.is_set() and self._succeeds(self.database.ping(), "database.unavailable")

    def details(self) -> dict[str, object]:
        return {"draining": True} if self.services.draining.is_set() else {}

    def _succeeds(self, check: Coroutine[Any, Any, None], event: str) -> bool:
        """Whether `check` ends in time. It is not awaited after that: cancelling a query may take a while."""
        try:
            future = asyncio.run_coroutine_threadsafe(check, self.loop)
        except RuntimeError:  # the loop is closed
            check.close()
            return False
        try:
            future.result(self.timeout_s)
        except Exception as exc:  # whatever it is, the answer is no, and the log says why
            future.cancel()
            log.warning(event, error=first_line(exc))
            return False
        return True


@asynccontextmanager
async def health_server(
    app: Litestar, settings: Settings, registry: CollectorRegistry, *, is_shared: bool = False
) -> AsyncIterator[None]:
    """Serve `/livez`, `/readyz`, `/healthcheck` and `/metrics` on `health.port` while `app` runs."""
    database = Database.from_settings(settings, pool_size=1)
    health = ApiHealth(app.state.services, database, asyncio.get_running_loop())
    is_ready, is_live = health.is_ready, health.is_live
    server = HealthServer(settings.health, registry, is_ready, health.details, is_live, is_shared=is_shared)
    server.start()
    try:
        yield
    finally:
        await asyncio.to_thread(server.stop)
        await database.close()
