"""The scheduler: fires schedules when they are due. Any number of coordinators may do it at once.

Which of them fires is settled by the lock on the schedule's row; a time that one of them has dealt with is in the past
for all others. A transaction that ends halfway, with whoever ran it, has left nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.engine import is_database_unavailable
from taskcore.db.schedules import fires
from taskcore.observability.metrics import SCHEDULE_DUE_TIMES, TASKS_SUBMITTED
from taskcore.submission.from_schedule import FireResult, fire_due
from taskworker.coordinator.database import execute, transaction

IDLE_S = 5.0
#: How often is looked whether the task is over for which a time waits.
OVERLAP_POLL_S = 1.0
#: Until another look when somebody else has locked what is due.
LOCKED_RETRY_S = 0.2
#: How long a schedule is left alone that could not be fired.
FAILED_RETRY_S = 30.0
PRUNE_INTERVAL_S = 3_600.0
KEEP_FIRES_S = 90 * 86_400.0

log = structlog.stdlib.get_logger(__name__)


class Scheduler:
    """`wake` is called by whoever knows that a schedule was made or changed. `on_fired`: there are new tasks."""

    def __init__(self, engine: AsyncEngine, on_fired: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._on_fired = on_fired
        self._woken = asyncio.Event()
        self._failed: dict[int, float] = {}
        self._prune_at = 0.0

    def wake(self) -> None:
        self._failed.clear()  # it may have been mended
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._woken.clear()
            pause_s = await self.step()
            await self._prune()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()

    async def step(self, moment: datetime | None = None) -> float:
        """Fire what is due at `moment`; None: now. Answers after how many seconds to look again."""
        rows = await execute(self._engine, fires.due_schedules(), moment=moment, but=self._failed_ids())
        due = [row.id for row in rows if row.wait_s is not None and row.wait_s <= 0]
        if due:
            fired = [await self._fire(schedule_id, moment) for schedule_id in dict.fromkeys(due)]
            return 0.0 if any(fired) else LOCKED_RETRY_S
        return min([IDLE_S, *(OVERLAP_POLL_S if row.wait_s is None else row.wait_s for row in rows)])

    def _failed_ids(self) -> list[int]:
        now = time.monotonic()
        self._failed = {schedule_id: until for schedule_id, until in self._failed.items() if until > now}
        return list(self._failed)

    async def _fire(self, schedule_id: int, moment: datetime | None) -> bool:
        """Answers whether there was anything to do."""
        try:
            dealt = await self._fire_in_transaction(schedule_id, moment)
        except Exception as exc:  # one schedule must not hold up the others
            if is_database_unavailable(exc) and not isinstance(
                exc, TimeoutError
            ):  # which is this one's own: others go on
                raise
            log.exception("schedule.failed", schedule_id=schedule_id)
            self._failed[schedule_id] = time.monotonic() + FAILED_RETRY_S
            return True
        if dealt is None:
            return False
        self._report(schedule_id, dealt)
        return True

    async def _fire_in_transaction(self, schedule_id: int, moment: datetime | None) -> FireResult | None:
        async with transaction(self._engine) as connection:
            return await fire_due(connection, schedule_id, moment)

    def _report(self, schedule_id: int, dealt: FireResult) -> None:
        counts = {"fired": len(dealt.fired), "skipped": len(dealt.plan.skips), "missed": dealt.plan.missed}
        for fate, count in counts.items():
            SCHEDULE_DUE_TIMES.labels(fate).inc(count)
        level = log.warning if dealt.plan.missed else log.info
        tasks = [one.task_id for one in dealt.fired]
        level("schedule.processed", schedule_id=schedule_id, name=dealt.name, tasks=tasks, **counts)
        if tasks:
            TASKS_SUBMITTED.inc(len(tasks))
            self._on_fired()

    async def _prune(self) -> None:
        now = time.monotonic()
        if now < self._prune_at:
            return
        while await execute(self._engine, fires.delete_old_fires(), after_s=KEEP_FIRES_S):
            continue
        self._prune_at = now + PRUNE_INTERVAL_S
