"""Retention, in small batches: of tasks whose time is up, of the history of those that are gone, of what is collected.

Old tasks are found by walking over all of them by id, for ids grow with time: the walk stops where they are younger
than any that may go, waits there, and begins anew once an hour, or when the settings change, for those that ended or
became old behind it.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.tasks import history_feed, retention
from taskcore.domain.states import TERMINAL
from taskcore.live_settings import CurrentSettings
from taskcore.settings import RetentionSettings
from taskworker.coordinator.collector_retention import CollectorRetention
from taskworker.coordinator.database import execute

IDLE_S = 5.0
BUSY_S = 0.1
RECHECK_S = 30.0
RESTART_WALK_S = 3_600.0

Policy = list[dict[str, Any]]

log = structlog.stdlib.get_logger(__name__)


def plan_policy(settings: RetentionSettings) -> Policy:
    """How old tasks of each type and status may become, as `retention.find_old` takes it."""
    rows: Policy = []
    for kind, own in [(None, settings), *sorted(settings.types.items())]:
        for status in sorted(TERMINAL):
            field = f"{status}_s"
            whose = own if field in own.model_fields_set else settings
            rows.append({"kind": kind, "standing": status, "age_s": getattr(whose, field)})
    return rows


def shortest_age_s(policy: Policy) -> float | None:
    """None: nothing ever goes."""
    return min((row["age_s"] for row in policy if row["age_s"] is not None), default=None)


class Retention:
    def __init__(self, engine: AsyncEngine, settings: CurrentSettings) -> None:
        self._engine = engine
        self._settings = settings
        self._collector_retention = CollectorRetention(engine)
        self._policy: Policy = []
        self._after_id = 0
        self._walk_started_at = 0.0
        self._walk_at = 0.0
        self._delete_history_at = 0.0
        self._woken = asyncio.Event()
        settings.on_change(self._woken.set)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._woken.clear()
            pause_s = BUSY_S if await self.step() else IDLE_S * random.uniform(0.8, 1.2)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()

    async def step(self) -> bool:
        """One batch of each. Answers whether there is more to do at once."""
        collected = await self._collector_retention.step(self._settings.now)
        settings = self._settings.now.retention
        due = await execute(self._engine, retention.delete_due())
        _log_deleted(due, "delete_after")
        walks = await self._walk(plan_policy(settings))
        forgets = settings.history_s is not None and await self._delete_history(settings.history_s)
        return collected or walks or forgets or len(due) == retention.BATCH

    async def _walk(self, policy: Policy) -> bool:
        now = time.monotonic()
        if policy != self._policy:
            self._policy, self._walk_at = policy, now
            self._start_walk(now)
        shortest_s = shortest_age_s(policy)
        if shortest_s is None or now < self._walk_at:
            return False
        if now - self._walk_started_at >= RESTART_WALK_S:
            self._start_walk(now)
        if await self._expire(shortest_s):
            return True
        self._walk_at = now + RECHECK_S
        return False

    def _start_walk(self, now: float) -> None:
        self._after_id, self._walk_started_at = 0, now

    async def _expire(self, shortest_s: float) -> bool:
        """Delete what is old of the next tasks. Answers whether there are more behind that may be old."""
        rows = retention.policy_rows(self._policy)
        (found,) = await execute(
            self._engine, retention.find_expired(), after_id=self._after_id, shortest_s=shortest_s, rows=rows
        )
        if found.ids:
            deleted = await execute(self._engine, retention.delete_expired(), ids=found.ids, shortest_s=shortest_s)
            _log_deleted(deleted, "retention")
        if found.last_id is None or found.is_young:
            return False
        self._after_id = found.last_id
        return True

    async def _delete_history(self, history_s: float) -> bool:
        now = time.monotonic()
        if now < self._delete_history_at:
            return False
        ((count,),) = await execute(self._engine, history_feed.delete_oldest(), after_s=history_s, room=retention.BATCH)
        if count:
            log.info("history.deleted", count=count)
            return True
        self._delete_history_at = now + RECHECK_S
        return False


def _log_deleted(deleted: list[Any], reason: str) -> None:
    if deleted:
        log.info("tasks.deleted", count=len(deleted), reason=reason)
