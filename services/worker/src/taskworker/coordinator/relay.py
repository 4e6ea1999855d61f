"""The relay: sends messages from the outbox to the broker, by priority, up to a window for each queue.

It marks rows as dispatched and commits, publishes outside any transaction, and un-marks what the broker did not
confirm. A crash in between leaves marked rows whose message was never sent; `_resend_lost` finds them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import structlog

from taskcore.db.queues import lifecycle, loads, outbox
from taskcore.live_settings import CurrentSettings
from taskcore.messaging.publisher import Publisher
from taskcore.observability.metrics import MESSAGES_RESENT, MESSAGES_SENT, QUEUE_LABELS
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskcore.wakeup import Wakeup
from taskworker.coordinator.database import Database
from taskworker.coordinator.dispatch_spans import DispatchSpans
from taskworker.coordinator.parking import Parking, ServedTypes
from taskworker.coordinator.relay_window import IDLE_S, QueueFlow, plan_pause, window

LOST_CHECK_INTERVAL_S = 5.0
PROMOTE_INTERVAL_S = 0.2
#: How many queues are handled at once. Each takes a connection to the database; the other loops need some, too.
CONCURRENT_QUEUES = 3

Result = TypeVar("Result")

log = structlog.stdlib.get_logger(__name__)


@dataclass(eq=False)
class Relay:
    """Call `wake` when there may be new work. Polling, slow when idle, finds work whose wake-up was lost."""

    database: Database
    publisher: Publisher
    settings: CurrentSettings
    on_round: Callable[[], None] = lambda: None
    tracing: Tracing = NO_TRACING
    _wakeup: Wakeup = field(default_factory=Wakeup, init=False)
    _flows: dict[str, QueueFlow] = field(default_factory=dict, init=False)
    _observed_at: float = field(default_factory=time.monotonic, init=False)
    _promote_at: float = field(default=0.0, init=False)
    _check_lost_at: float = field(default=0.0, init=False)
    _record_use_at: float = field(default=0.0, init=False)
    _used: set[str] = field(default_factory=set, init=False)
    _round_s: float = field(default=0.0, init=False)
    _pause_s: float = field(default=IDLE_S, init=False)
    _served: ServedTypes = field(init=False)
    _parking: Parking = field(init=False)

    def __post_init__(self) -> None:
        self._served = ServedTypes(self.database)
        self._parking = Parking(self.database, self._served)

    def wake(self) -> None:
        self._wakeup.wake()

    async def run(self) -> None:
        while True:
            self._pause_s = await self.step()
            self.on_round()
            await self._wakeup.wait(self._pause_s)

    async def step(self) -> float:
        """Promote what is due, fill the windows, and resend what was lost. Return the seconds until the next round."""
        next_due_s = await self._promote()
        sent, has_backlog = await self._dispatch()
        await self._resend_lost()
        await self._record_use()
        return plan_pause(
            self._flows.values(),
            sent=sent,
            has_backlog=has_backlog,
            next_due_s=next_due_s,
            last_pause_s=self._pause_s,
        )

    async def _promote(self) -> float | None:
        """Mark delayed rows as due once they are. Return the seconds until the next delay ends, `None` without one."""
        now = time.monotonic()
        if now < self._promote_at:
            return self._promote_at - now
        ((wait,),) = await self.database.execute(outbox.next_due())
        if wait is not None and wait <= 0:
            while len(await self.database.execute(outbox.promote_due())) == outbox.DUE_LIMIT:
                continue
            ((wait,),) = await self.database.execute(outbox.next_due())
        next_due_s = None if wait is None else max(0.0, float(wait))
        self._promote_at = now + min(PROMOTE_INTERVAL_S if next_due_s is None else next_due_s, IDLE_S)
        return next_due_s

    async def _dispatch(self) -> tuple[int, bool]:
        """Fill each queue's window. Return how many messages were sent, and whether any served queue has a backlog."""
        rows = await self.database.execute(loads.queue_loads())
        now = time.monotonic()
        elapsed_s, self._observed_at = now - self._observed_at, now
        self._flows = {
            queue.name: self._flows.get(queue.name, QueueFlow()).observe(queue.in_flight, elapsed_s) for queue in rows
        }
        waiting = [queue for queue in rows if queue.head_type is not None]
        rooms = {queue.name: room for queue in waiting if (room := self._room(queue)) > 0}
        if rooms and not await self.publisher.connect():
            rooms = {}  # marked rows would have to be unmarked again, many times a second
        rooms = {name: room for name, room in rooms.items() if self.publisher.is_ready(name)}
        counts = await _concurrently(partial(self._send, *each) for each in rooms.items())
        self._round_s = time.monotonic() - now
        sent = dict(zip(rooms, counts, strict=True))
        self._flows |= {name: self._flows[name].dispatched(count) for name, count in sent.items()}
        self._used |= sent.keys()
        for queue in rows:
            if await self._parking.move(queue, now):
                self.wake()
        return sum(sent.values()), any(queue.live_slots > 0 for queue in waiting)

    def _room(self, queue: Any) -> int:
        return window(queue.live_slots, self._flows[queue.name].claims_per_s, self._round_s) - int(queue.in_flight)

    async def _send(self, queue: str, room: int) -> int:
        """Send up to `room` messages for tasks that a live worker knows. Return how many the broker confirmed."""
        started_ns = time.time_ns()
        dispatch = outbox.dispatch_traced() if self.tracing.is_enabled else outbox.dispatch()
        types = await self._served.of(queue)
        rows = await self.database.execute(dispatch, of=queue, room=room, types=types)
        if not rows:
            return 0
        task_ids = [row.task_id for row in rows]
        spans = DispatchSpans(self.tracing, queue, rows, started_ns)
        unconfirmed = await self.publisher.publish(queue, task_ids, spans.contexts)
        spans.end(unconfirmed)
        if unconfirmed:
            await self.database.execute(outbox.undispatch(), ids=unconfirmed)
            log.warning("messages.unconfirmed", queue=queue, count=len(unconfirmed))
        count = len(task_ids) - len(unconfirmed)
        MESSAGES_SENT.labels(QUEUE_LABELS[queue]).inc(count)
        return count

    async def _record_use(self) -> None:
        """Tell the database which queues are in use, once a minute."""
        now = time.monotonic()
        if not self._used or now < self._record_use_at:
            return
        self._record_use_at = now + lifecycle.USE_INTERVAL_S
        names, self._used = sorted(self._used), set()
        await self.database.execute(lifecycle.record_use(), names=names, interval_s=lifecycle.USE_INTERVAL_S)

    async def _resend_lost(self) -> None:
        now = time.monotonic()
        if now < self._check_lost_at:
            return
        self._check_lost_at = now + LOST_CHECK_INTERVAL_S
        in_flight = [queue for queue, flow in self._flows.items() if flow.in_flight]
        await _concurrently(partial(self._resend_lost_of, queue) for queue in in_flight)

    async def _resend_lost_of(self, queue: str) -> None:
        ready = await self.publisher.ready_count(queue)
        if ready is None:
            return
        after_s = self.settings.now.coordinator.resend_after_s
        lost = await self.database.execute(outbox.undispatch_lost(), of=queue, ready=ready, after_s=after_s)
        if lost:
            MESSAGES_RESENT.labels(QUEUE_LABELS[queue]).inc(len(lost))
            log.warning("messages.lost", queue=queue, count=len(lost), ready=ready)
            self._wakeup.wake()


async def _concurrently(calls: Iterable[Callable[[], Awaitable[Result]]]) -> list[Result]:
    """Make the calls, a few at a time, so that queues do not delay each other. Raise the first error in the end."""
    slots = asyncio.Semaphore(CONCURRENT_QUEUES)

    async def make(call: Callable[[], Awaitable[Result]]) -> Result:
        async with slots:
            return await call()

    outcomes = await asyncio.gather(*map(make, calls), return_exceptions=True)
    results = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    if len(results) < len(outcomes):
        raise next(outcome for outcome in outcomes if isinstance(outcome, BaseException))
    return results
