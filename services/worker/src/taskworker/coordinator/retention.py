"""Retention: deletes, in small batches, old tasks, the history of deleted tasks, and what the collectors stored.

Old tasks are found by a walk over all tasks by id, since ids grow with time. The walk stops at the first task that is
too young for any limit and waits there. It starts again once an hour, and when the settings change, for tasks that
it passed before they finished or became old.
"""

from __future__ import annotations

import random
import time
from typing import Any

import structlog
from prometheus_client import Gauge

from taskcore.db.tasks import history_feed, retention
from taskcore.domain.states import TERMINAL
from taskcore.live_settings import CurrentSettings
from taskcore.settings import RetentionSettings
from taskcore.wakeup import Wakeup
from taskworker.coordinator.collector_retention import CollectorRetention
from taskworker.coordinator.database import Database

IDLE_S = 5.0
BUSY_S = 0.1
RECHECK_S = 30.0
RESTART_WALK_S = 3_600.0

RETENTION_LAG = Gauge(
    "taskcore_retention_lag_seconds",
    "Time since retention last had nothing more to delete",
    multiprocess_mode="livemax",
)

Policy = list[retention.RetentionRule]

log = structlog.stdlib.get_logger(__name__)


def plan_policy(settings: RetentionSettings) -> Policy:
    """Return the maximum age of tasks of each type and status, one rule each."""
    rules: Policy = []
    for kind, limits in [(None, settings), *sorted(settings.types.items())]:
        for status in sorted(TERMINAL):
            field = f"{status}_s"
            source = limits if field in limits.model_fields_set else settings
            rules.append(retention.RetentionRule(kind, status, getattr(source, field)))
    return rules


def shortest_age_s(policy: Policy) -> float | None:
    """Return `None` when the policy keeps all tasks for ever."""
    return min((rule.max_age_s for rule in policy if rule.max_age_s is not None), default=None)


class Retention:
    def __init__(self, database: Database, settings: CurrentSettings) -> None:
        self._database = database
        self._settings = settings
        self._collector_retention = CollectorRetention(database)
        self._policy: Policy = []
        self._after_id = 0
        self._restart_walk_at = 0.0
        self._walk_at = 0.0
        self._caught_up_at = 0.0
        self._delete_history_at = 0.0
        self._wakeup = Wakeup()
        settings.on_change(self._wakeup.wake)

    async def run(self) -> None:
        while True:
            pause_s = BUSY_S if await self.step() else IDLE_S * random.uniform(0.8, 1.2)
            await self._wakeup.wait(pause_s)

    async def step(self) -> bool:
        """Delete one batch of each kind. Return whether there is more to delete at once."""
        has_more_collected = await self._collector_retention.step(self._settings.now)
        settings = self._settings.now.retention
        due = await self._database.execute(retention.delete_due())
        _log_deleted(due, "delete_after")
        has_more_tasks = await self._walk(plan_policy(settings))
        has_more_history = settings.history_s is not None and await self._delete_history(settings.history_s)
        return has_more_collected or has_more_tasks or has_more_history or len(due) == retention.BATCH

    async def _walk(self, policy: Policy) -> bool:
        now = time.monotonic()
        if policy != self._policy:
            self._policy, self._walk_at, self._restart_walk_at, self._caught_up_at = policy, now, now, now
        shortest_s = shortest_age_s(policy)
        RETENTION_LAG.set(0 if shortest_s is None else now - self._caught_up_at)
        if shortest_s is None or now < self._walk_at:
            return False
        if now >= self._restart_walk_at:
            self._after_id, self._restart_walk_at = 0, now + RESTART_WALK_S
        if await self._expire(shortest_s):
            return True
        self._walk_at, self._caught_up_at = now + RECHECK_S, now
        return False

    async def _expire(self, shortest_s: float) -> bool:
        """Delete the old ones among the next tasks of the walk. Return whether later tasks may be old too."""
        rows = retention.rule_rows(self._policy)
        (found,) = await self._database.execute(
            retention.find_expired(), after_id=self._after_id, shortest_s=shortest_s, rows=rows
        )
        if found.ids:
            deleted = await self._database.execute(retention.delete_expired(), ids=found.ids, shortest_s=shortest_s)
            _log_deleted(deleted, "retention")
        if found.last_id is None or found.is_young:
            return False
        self._after_id = found.last_id
        return True

    async def _delete_history(self, history_s: float) -> bool:
        now = time.monotonic()
        if now < self._delete_history_at:
            return False
        ((count,),) = await self._database.execute(
            history_feed.delete_oldest(), after_s=history_s, room=retention.BATCH
        )
        if count:
            log.info("history.deleted", count=count)
            return True
        self._delete_history_at = now + RECHECK_S
        return False


def _log_deleted(deleted: list[Any], reason: str) -> None:
    if deleted:
        log.info("tasks.deleted", count=len(deleted), reason=reason)
