"""Retention of what the collectors stored: samples, Kubernetes events and gaps between them, and resolved alerts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from sqlalchemy import Executable

from taskcore.db import collector_retention
from taskcore.settings import Settings
from taskworker.coordinator.database import Database

RECHECK_S = 30.0

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RetentionLimit:
    """Rows of `kind` that are older than `after_s` are deleted by `statement`."""

    kind: str
    after_s: float
    statement: Executable


def plan_limits(settings: Settings) -> Iterator[RetentionLimit]:
    """Yield the limits that the settings set.

    Events are kept for at least as long as their cluster keeps them: the next list would bring them back as new.
    """
    keep = settings.retention
    if keep.analytics_s is not None:
        yield RetentionLimit("samples", keep.analytics_s, collector_retention.delete_old_samples())
    if keep.events_s is not None:
        after_s = max(keep.events_s, settings.kubernetes.event_ttl_s)
        yield RetentionLimit("events", after_s, collector_retention.delete_old_events())
        yield RetentionLimit("gaps", after_s, collector_retention.delete_old_gaps())
    if keep.alerts_s is not None:
        yield RetentionLimit("alerts", keep.alerts_s, collector_retention.delete_old_alerts())


class CollectorRetention:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._check_at: dict[str, float] = {}

    async def step(self, settings: Settings) -> bool:
        """Delete one batch of each kind. Return whether there is more to delete at once."""
        return any([await self._delete_batch(limit) for limit in plan_limits(settings)])

    async def _delete_batch(self, limit: RetentionLimit) -> bool:
        now = time.monotonic()
        if now < self._check_at.get(limit.kind, 0.0):
            return False
        ((count,),) = await self._database.execute(limit.statement, after_s=limit.after_s)
        if count:
            log.info("collector_data.deleted", kind=limit.kind, count=count)
        if count == collector_retention.BATCH:
            return True
        self._check_at[limit.kind] = now + RECHECK_S
        return False
