"""The rescuer: returns the tasks of dead workers to their queue, and sweeps for tasks that all other rules missed."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import Executable

from taskcore.db.queues import outbox, unserved
from taskcore.db.tasks import actions, dependency_resolution, queries, settlements
from taskcore.db.tasks.result_rows import result_rows
from taskcore.db.workers import leases
from taskcore.domain.liveness import RECONNECT_GRACE_S
from taskcore.domain.outcomes import worker_lost
from taskcore.domain.states import CLAIMABLE, Status
from taskcore.domain.tasks import COORDINATOR
from taskcore.live_settings import CurrentSettings
from taskcore.observability.attempt_log import FailureLog
from taskcore.observability.metrics import SWEEP_REPAIRS, TASKS_RESCUED, record_results
from taskcore.wakeup import Wakeup
from taskworker.coordinator.clock_watch import ClockWatch
from taskworker.coordinator.database import Database

INTERVAL_S = 1.0
ORPHANS_INTERVAL_S = 4.0
RECHECK_DELAY_S = 0.25
SLICE_SIZE = 50_000
MAX_LOGGED_IDS = 10
BLOCKED = frozenset({Status.BLOCKED})

log = structlog.stdlib.get_logger(__name__)


@dataclass(eq=False)
class Rescuer:
    """Rescues the tasks of dead workers every second, and sweeps every `coordinator.sweep_every_s`.

    `is_worker_gone` asks the broker about a worker whose liveness lock is gone. `on_rescued` is called when tasks were
    put back in their queue or ended. When the database did not answer for `silence_s`, no lease expires for
    `reconnect_grace_s`, and when its clock jumped by more than that, for the longest lease: workers can send a
    heartbeat first.
    """

    database: Database
    settings: CurrentSettings
    is_worker_gone: Callable[[int], Awaitable[bool]]
    on_rescued: Callable[[], None]
    silence_s: float = 5.0
    reconnect_grace_s: float = RECONNECT_GRACE_S
    _wakeup: Wakeup = field(default_factory=Wakeup, init=False)
    _swept_at: float = field(default=-math.inf, init=False)
    _orphans_at: float = field(default=0.0, init=False)
    _executing_since: float | None = field(default=-math.inf, init=False)
    _delete_expired_from: float = field(default=0.0, init=False)
    _failures: FailureLog = field(default_factory=FailureLog, init=False)
    _clock_watch: ClockWatch = field(init=False)

    def __post_init__(self) -> None:
        self.settings.on_change(self._wakeup.wake)
        self._clock_watch = ClockWatch(self.silence_s)

    async def run(self) -> None:
        """Run until cancelled. The jitter keeps several coordinators out of step."""
        while True:
            await self.step()
            await self._wakeup.wait(INTERVAL_S * random.uniform(0.8, 1.2))

    async def step(self) -> None:
        any_dead = await self._delete_dead_workers()
        if any_dead or time.monotonic() >= self._orphans_at:
            self._orphans_at = time.monotonic() + ORPHANS_INTERVAL_S
            await self._delete_expired_workers()
            await self._rescue()
        if time.monotonic() - self._swept_at >= self.settings.now.coordinator.sweep_every_s:
            self._swept_at = time.monotonic()
            # A waiting task without an outbox row would wait for ever.
            await self._repair_slices("outbox.rows_restored", outbox.restore_missing_rows(), CLAIMABLE)
            _log_repair("outbox.stale_rows_deleted", await self._execute(outbox.delete_stale_rows()))
            # Blocked tasks that have no unfinished parent: their dependencies are resolved again.
            await self._repair_slices("dependencies.requeued", dependency_resolution.requeue_stuck(), BLOCKED)
            await self._fail_unknown_types()

    async def _delete_dead_workers(self) -> bool:
        """Delete the workers whose liveness lock and whose queue are both gone. Return whether there were any.

        A worker whose connection was cut gets a moment to come back with another lock.
        """
        without_lock = await self._execute(leases.workers_without_lock())
        suspects = [row for row in without_lock if await self.is_worker_gone(row.id)]
        if not suspects:
            return False
        await asyncio.sleep(RECHECK_DELAY_S)
        still = {(row.id, row.lock_id) for row in await self._execute(leases.workers_without_lock())}
        dead = []
        for row in suspects:
            if (row.id, row.lock_id) in still:
                dead += await self._execute(leases.delete_if_dead(), worker=row.id, lock=row.lock_id)
        if dead:
            log.warning("workers.dead", worker_ids=[row.id for row in dead])
        return bool(dead)

    async def _delete_expired_workers(self) -> None:
        asked_at = time.monotonic()
        (clock,) = await self._execute(leases.read_clock())
        if jump_s := self._clock_watch.jump_s(clock.now, asked_at):
            log.warning("database.clock_jumped", seconds=round(jump_s, 1))
            self._delay_expiry(clock.longest_lease_s)
        if time.monotonic() < self._delete_expired_from:
            return
        expired = await self._execute(leases.delete_expired_workers(), now=clock.now, tolerance_s=self.silence_s)
        if expired:
            log.warning("workers.lease_expired", worker_ids=[row.id for row in expired])

    async def _rescue(self) -> None:
        """Settle the attempts that no worker row holds any more, in batches."""
        while rows := await self._execute(leases.orphaned_attempts()):
            orphans = map(leases.HeldAttempt.from_row, rows)
            batch = [orphan.finish(worker_lost(orphan.worker_losses)) for orphan in orphans]
            rescued = await self._execute(settlements.settle(), rows=result_rows(batch), by=COORDINATOR)
            TASKS_RESCUED.inc(len(rescued))
            record_results(batch)
            self._failures.record(batch)
            log.warning("tasks.rescued", count=len(rescued))
            self.on_rescued()
            if len(rows) < leases.ORPHANS_LIMIT:
                return

    async def _repair_slices(self, event: str, repair: Executable, statuses: frozenset[Status]) -> None:
        """Run `repair` on slices of the ids that together hold all tasks in `statuses`."""
        ((first, last),) = await self._execute(queries.id_range(statuses))
        if first is None:
            return
        for after_id in range(first - 1, last, SLICE_SIZE):
            _log_repair(event, await self._execute(repair, after_id=after_id, until_id=after_id + SLICE_SIZE))

    async def _fail_unknown_types(self) -> None:
        """Fail tasks whose type no worker has known for long.

        They are locked in a statement of their own: one that waits for a lock does not see the outbox row that was
        written meanwhile.
        """
        after_s = self.settings.now.coordinator.fail_unknown_type_after_s
        types = [row.name for row in await self._execute(unserved.unserved_types(), after_s=after_s)]
        found, ids, failed = bool(types), [0], 0
        while found:
            waiting = {"types": types, "after_s": after_s, "after_id": ids[-1]}
            async with self.database.transaction() as connection:
                ids = list(await connection.scalars(actions.lock_unknown_type(), waiting))
                rows = await connection.execute(actions.fail_unknown_type(), {"ids": ids, "after_s": after_s})
                failed += len(rows.all())
            found = len(ids) == actions.UNKNOWN_TYPE_LIMIT
        if failed:
            log.warning("tasks.unknown_type_failed", count=failed)

    async def _execute(self, statement: Executable, **parameters: Any) -> list[Any]:
        """Run `statement`, and delay the expiry of leases when the database did not answer for `silence_s`."""
        if self._executing_since is None:
            self._executing_since = time.monotonic()
        rows = await self.database.execute(statement, **parameters)
        if time.monotonic() - self._executing_since > self.silence_s:
            self._delay_expiry(self.reconnect_grace_s)
        self._executing_since = None
        return rows

    def _delay_expiry(self, seconds: float) -> None:
        self._delete_expired_from = max(self._delete_expired_from, time.monotonic() + seconds)


def _log_repair(event: str, rows: Sequence[Any]) -> None:
    """Log the tasks whose ids are in `rows`, as an error: what the sweep repairs is a fault of another rule."""
    if rows:
        SWEEP_REPAIRS.labels(event).inc(len(rows))
        log.error(event, count=len(rows), task_ids=[task_id for (task_id,) in rows[:MAX_LOGGED_IDS]])
