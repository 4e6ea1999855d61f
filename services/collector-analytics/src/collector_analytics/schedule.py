"""The schedule of `collect_analytics`, which is kept in line with the live setting of its interval."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from collector_analytics.collect_analytics import QUEUE, CollectAnalytics, configured_sources
from taskcore.db.engine import is_database_unavailable
from taskcore.db.notify import SCHEDULES, notify
from taskcore.db.schedules.managed import ensure_managed_schedule
from taskcore.live_settings import CurrentSettings
from taskcore.observability.outages import DATABASE
from taskcore.wakeup import Wakeup

NAME = "taskcore.analytics"
MANAGED_BY = "collector-analytics"

#: How soon a schedule that was deleted or changed by hand is restored.
RECONCILE_INTERVAL_S = 60.0
RETRY_S = 1.0
#: A database that takes longer counts as unavailable.
DATABASE_TIMEOUT_S = 10.0

log = structlog.stdlib.get_logger(__name__)


class ScheduleReconciler:
    """Creates the schedule, which is due at once, and restores it. Any number of copies may run."""

    def __init__(self, current: CurrentSettings, engine: AsyncEngine, timeout_s: float = DATABASE_TIMEOUT_S) -> None:
        self._current = current
        self._engine = engine
        self._timeout_s = timeout_s
        configured = sorted(source.name for source in configured_sources(current.base))
        self._task = {
            "name": CollectAnalytics.name,
            "type": CollectAnalytics.name,
            "queue": QUEUE,
            "parameters": {"configured": configured} if configured else {},
        }
        self._wakeup = Wakeup()
        current.on_change(self._wakeup.wake)

    async def run(self) -> None:
        """Reconcile until cancelled."""
        while True:
            await self._wakeup.wait(await self._try_reconcile())

    async def _try_reconcile(self) -> float:
        """Create or update the schedule. Return the seconds until the next time."""
        try:
            await self._reconcile()
            DATABASE.succeeded()
        except Exception as exc:  # nothing is collected without the schedule, so retry after any error
            if is_database_unavailable(exc):
                DATABASE.failed(exc)
            else:
                log.exception("schedule.reconcile_failed")
            return RETRY_S
        return RECONCILE_INTERVAL_S

    async def _reconcile(self) -> None:
        every_s = self._current.now.analytics.interval_s
        statement = ensure_managed_schedule(
            NAME,
            managed_by=MANAGED_BY,
            every_s=every_s,
            task=self._task,
            description="The live setting analytics.interval_s is the interval at which it collects usage metrics",
        )
        async with asyncio.timeout(self._timeout_s), self._engine.connect() as connection:
            if (await connection.execute(statement)).all():
                await connection.execute(notify(SCHEDULES))
                log.info("schedule.changed", schedule=NAME, every_s=every_s)
