"""The relay: from the outbox to the broker, by priority, a bounded window per queue.

Mark (commit), publish outside any transaction, un-mark what was not confirmed. A crash in between leaves rows marked
whose message was never sent: `_resend_lost` finds them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.queues import outbox
from taskcore.live_settings import CurrentSettings
from taskcore.messaging.publisher import Publisher
from taskcore.observability.metrics import MESSAGES_RESENT, MESSAGES_SENT, QUEUE_LABELS
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskworker.coordinator.database import execute
from taskworker.coordinator.dispatch_spans import DispatchSpans
from taskworker.coordinator.window import MAX_PAUSE_S, MIN_PAUSE_S, QueueFlow, pause, window

IDLE_S = 1.0
LOST_CHECK_INTERVAL_S = 5.0
PROMOTE_INTERVAL_S = 0.2

log = structlog.stdlib.get_logger(__name__)


class Relay:
    """`wake` is called by whoever knows of new work; polling, slow when idle, finds what a lost wake-up left."""

    def __init__(
        self,
        engine: AsyncEngine,
        publisher: Publisher,
        settings: CurrentSettings,
        on_round: Callable[[], None] = lambda: None,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._engine = engine
        self._publisher = publisher
        self._settings = settings
        self._on_round = on_round
        self._tracing = tracing
        self._woken = asyncio.Event()
        self._flows: dict[str, QueueFlow] = {}
        self._observed_at = time.monotonic()
        self._promote_at = 0.0
        self._check_lost_at = 0.0
        self._pause_s = IDLE_S

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._woken.clear()
            await self.step()
            self._on_round()
            try:
                async with asyncio.timeout(self._pause_s):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def step(self) -> None:
        """One round: what is due, what there is room for, what was lost."""
        next_due_s = await self._promote()
        sent, has_backlog = await self._dispatch()
        await self._resend_lost()
        if sent:
            self._pause_s = min(pause(flow) for flow in self._flows.values() if flow.in_flight)
        elif has_backlog:  # no room: look again sooner or later, depending on how long nothing has moved
            self._pause_s = min(MAX_PAUSE_S, self._pause_s * 1.5) if self._pause_s < IDLE_S else MIN_PAUSE_S
        else:
            self._pause_s = IDLE_S if next_due_s is None else min(IDLE_S, max(MIN_PAUSE_S, next_due_s))

    async def _promote(self) -> float | None:
        """Mark what has become due. Answers how many seconds the next delay has left."""
        now = time.monotonic()
        if now < self._promote_at and not self._woken.is_set():
            return self._promote_at - now
        ((wait,),) = await execute(self._engine, outbox.next_due())
        if wait is not None and wait <= 0:
            while len(await execute(self._engine, outbox.promote_due())) == outbox.DUE_LIMIT:
                continue
            ((wait,),) = await execute(self._engine, outbox.next_due())
        next_due_s = None if wait is None else max(0.0, float(wait))
        self._promote_at = now + min(PROMOTE_INTERVAL_S if next_due_s is None else next_due_s, IDLE_S)
        return next_due_s

    async def _dispatch(self) -> tuple[int, bool]:
        """Fill each queue's window. Answers how many messages were sent, and whether any queue has more to send."""
        backlogs = await execute(self._engine, outbox.queue_loads())
        now = time.monotonic()
        elapsed_s, self._observed_at = now - self._observed_at, now
        sent, has_backlog = 0, False
        for queue in backlogs:
            flow = self._flows.get(queue.name, QueueFlow()).observe(queue.in_flight, elapsed_s)
            room = window(queue.live_slots, flow.claims_per_s) - queue.in_flight
            if queue.has_backlog and room > 0:
                count = await self._send(queue.name, room)
                sent += count
                flow = flow.dispatched(count)
            has_backlog |= queue.has_backlog and queue.live_slots > 0
            self._flows[queue.name] = flow
        return sent, has_backlog

    async def _send(self, queue: str, room: int) -> int:
        began_ns = time.time_ns()
        dispatch = outbox.dispatch_traced() if self._tracing.is_enabled else outbox.dispatch()
        rows = await execute(self._engine, dispatch, of=queue, room=room)
        if not rows:
            return 0
        task_ids = [row.task_id for row in rows]
        spans = DispatchSpans(self._tracing, queue, rows, began_ns)
        unconfirmed = await self._publisher.publish(queue, task_ids, spans.contexts)
        spans.end(unconfirmed)
        if unconfirmed:
            await execute(self._engine, outbox.undispatch(), ids=unconfirmed)
            log.warning("messages.unconfirmed", queue=queue, count=len(unconfirmed))
        count = len(task_ids) - len(unconfirmed)
        MESSAGES_SENT.labels(QUEUE_LABELS[queue]).inc(count)
        return count

    async def _resend_lost(self) -> None:
        now = time.monotonic()
        if now < self._check_lost_at:
            return
        self._check_lost_at = now + LOST_CHECK_INTERVAL_S
        for queue in [name for name, flow in self._flows.items() if flow.in_flight]:
            ready = await self._publisher.ready_count(queue)
            if ready is not None:
                await self._recall_lost(queue, ready)

    async def _recall_lost(self, queue: str, ready: int) -> None:
        after_s = self._settings.now.coordinator.resend_after_s
        lost: list[Any] = await execute(self._engine, outbox.undispatch_lost(), of=queue, ready=ready, after_s=after_s)
        if lost:
            MESSAGES_RESENT.labels(QUEUE_LABELS[queue]).inc(len(lost))
            log.warning("messages.lost", queue=queue, count=len(lost), ready=ready)
            self._woken.set()
