"""Retention of what collectors stored: samples, Kubernetes events, what is known of gaps in them, resolved alerts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db import collector_retention
from taskcore.settings import Settings
from taskworker.coordinator.database import execute

RECHECK_S = 30.0

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RetentionLimit:
    """How old `what` may become."""

    kind: str
    after_s: float
    statement: Executable


def plan_limits(settings: Settings) -> Iterator[RetentionLimit]:
    """What is to go at all.

    An event stays for as long as its cluster may have it: the next listing would bring it back, as if it were new.
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
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._check_at: dict[str, float] = {}

    async def step(self, settings: Settings) -> bool:
        """One batch of each. Answers whether there is more to do at once."""
        return any([await self._delete_batch(limit) for limit in plan_limits(settings)])

    async def _delete_batch(self, limit: RetentionLimit) -> bool:
        now = time.monotonic()
        if now < self._check_at.get(limit.kind, 0.0):
            return False
        ((count,),) = await execute(self._engine, limit.statement, after_s=limit.after_s)
        if count:
            log.info("collector_data.deleted", what=limit.kind, count=count)
        if count == collector_retention.BATCH:
            return True
        self._check_at[limit.kind] = now + RECHECK_S
        return False
