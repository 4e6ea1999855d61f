"""The scheduler: fires schedules when they are due. Any number of coordinators may do so at once.

The lock on a schedule's row decides which of them fires it; a due time that one has processed is in the past for the
others. A transaction that is interrupted leaves nothing behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import structlog

from taskcore.db.engine import is_database_unavailable
from taskcore.db.schedules import fires
from taskcore.observability.metrics import SCHEDULE_DUE_TIMES, SCHEDULE_FAILURES, TASKS_SUBMITTED
from taskcore.submission.from_schedule import FireResult, fire_due
from taskcore.wakeup import Wakeup
from taskworker.coordinator.database import Database

IDLE_S = 5.0
#: How often to check whether the running task that a queued due time waits for has finished.
OVERLAP_POLL_S = 1.0
#: How soon to look again when another coordinator has locked what is due.
LOCKED_RETRY_S = 0.2
#: How long to skip a schedule that failed to fire.
FAILED_RETRY_S = 30.0
PRUNE_INTERVAL_S = 3_600.0
KEEP_FIRES_S = 90 * 86_400.0

log = structlog.stdlib.get_logger(__name__)


class Scheduler:
    """Call `wake` when a schedule was created or changed. `on_fired` is called when tasks were submitted."""

    def __init__(self, database: Database, on_fired: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._on_fired = on_fired
        self._wakeup = Wakeup()
        self._failed: dict[int, float] = {}
        self._prune_at = 0.0

    def wake(self) -> None:
        self._failed.clear()  # the change may have repaired a schedule
        self._wakeup.wake()

    async def run(self) -> None:
        while True:
            pause_s = await self.step()
            await self._prune()
            await self._wakeup.wait(pause_s)

    async def step(self, moment: datetime | None = None) -> float:
        """Fire what is due at `moment`, by default now. Return the seconds until the next step."""
        rows = await self._database.execute(fires.due_schedules(), moment=moment, but=self._failed_ids())
        due = [row.id for row in rows if row.wait_s is not None and row.wait_s <= 0]
        if due:
            processed = [await self._fire(schedule_id, moment) for schedule_id in dict.fromkeys(due)]
            return 0.0 if any(processed) else LOCKED_RETRY_S
        return min([IDLE_S, *(OVERLAP_POLL_S if row.wait_s is None else row.wait_s for row in rows)])

    def _failed_ids(self) -> list[int]:
        now = time.monotonic()
        self._failed = {schedule_id: until for schedule_id, until in self._failed.items() if until > now}
        return list(self._failed)

    async def _fire(self, schedule_id: int, moment: datetime | None) -> bool:
        """Fire one schedule. Return whether there was anything to do."""
        try:
            async with self._database.transaction() as connection:
                result = await fire_due(connection, schedule_id, moment)
        except Exception as exc:  # one schedule must not hold up the others
            # A timeout may be this schedule's alone, so the others go on.
            if is_database_unavailable(exc) and not isinstance(exc, TimeoutError):
                raise
            log.exception("schedule.failed", schedule_id=schedule_id)
            SCHEDULE_FAILURES.inc()
            self._failed[schedule_id] = time.monotonic() + FAILED_RETRY_S
            return True
        if result is None:
            return False
        self._report(schedule_id, result)
        return True

    def _report(self, schedule_id: int, result: FireResult) -> None:
        counts = {"fired": len(result.fired), "skipped": len(result.plan.skips), "missed": result.plan.missed}
        for outcome, count in counts.items():
            SCHEDULE_DUE_TIMES.labels(outcome).inc(count)
        level = log.warning if result.plan.missed else log.info
        tasks = [one.task_id for one in result.fired]
        level("schedule.processed", schedule_id=schedule_id, name=result.name, tasks=tasks, **counts)
        if tasks:
            TASKS_SUBMITTED.inc(len(tasks))
            self._on_fired()

    async def _prune(self) -> None:
        now = time.monotonic()
        if now < self._prune_at:
            return
        while await self._database.execute(fires.delete_old_fires(), after_s=KEEP_FIRES_S):
            continue
        self._prune_at = now + PRUNE_INTERVAL_S
