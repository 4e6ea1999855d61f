"""The lease of a worker: a thread that registers it, keeps it alive, and compares what it holds with the database.

It alone speaks to the database for the supervisor, whose main thread must never wait for a network: that one watches
`ends_at` and kills the executors before somebody else may run their tasks.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Engine, text

from taskcore.db.engine import is_database_away
from taskcore.db.notify import DEPENDENTS, OUTBOX, SETTLED
from taskcore.db.overrides import list_overrides
from taskcore.db.queues import queues as queue_queries
from taskcore.db.tasks import settlements
from taskcore.db.workers import leases, workers
from taskcore.domain import outcomes
from taskcore.domain.outcomes import Reason
from taskcore.domain.tasks import Finished, Lease, worker_actor
from taskcore.errors import first_line
from taskcore.leasing import executor_exits
from taskcore.leasing.dedicated_connection import Line
from taskcore.leasing.executor_exits import Death
from taskcore.leasing.lost_claims import FRESH_S, Held, Missing
from taskcore.leasing.registration import type_rows, worker_row
from taskcore.live_settings import overrides_of
from taskcore.observability.telemetry import LEASE_LOSSES, count_ends
from taskcore.plugins import Plugins
from taskcore.settings import Settings

TOUCH_TYPES_S = 60.0
RETRY_S = 0.5
GATHER_S = 0.02

#: The share of a lease that is left when its tasks are told to stop.
SOFT_FENCE = 0.25

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the database wants of the processes: attempts to cancel, to pause, and to drop, being held no more."""

    worker_id: int
    cancel: Sequence[Any]
    pause: Sequence[Any]
    drop: Sequence[tuple[int, tuple[int, int]]]
    queues: Sequence[str]
    overrides: Mapping[str, Any]  # of live settings


class LeaseKeeper:
    """`reports` is asked for what the processes hold; `wishes` is where to hear what is to be done about it."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        plugins: Plugins,
        reports: Callable[[], Sequence[Held]],
        *,
        slots: int,
    ) -> None:
        self._settings = settings
        self._slots = slots
        self._plugins = plugins
        self._reports = reports
        self._line = Line(engine, limit_s=settings.worker.lease_s / 2)
        self._deaths: queue.SimpleQueue[tuple[int, Death]] = queue.SimpleQueue()
        self._unsettled: list[tuple[int, Death]] = []
        self._missing = Missing()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._beat_at = self._touched_at = float("-inf")
        self._is_lost = False
        self.worker_id: int | None = None
        self.ends_at = float("-inf")
        self.wishes: queue.SimpleQueue[Wishes] = queue.SimpleQueue()

    def start(self) -> None:
        self._thread.start()

    def is_ending(self, share: float) -> bool:
        """Whether no more than that share of the lease is left."""
        return time.monotonic() >= self.ends_at - share * self._settings.worker.lease_s

    def count_loss(self) -> None:
        """This lease cannot be kept, and its tasks were told to stop. Counts once, until a heartbeat is heard again."""
        if not self._is_lost:
            self._is_lost = True
            LEASE_LOSSES.inc()

    def wake(self) -> None:
        """Somebody wants something of this worker's tasks: look now."""
        self._woken.set()

    def add(self, worker_id: int, death: Death) -> None:
        """A process is gone: what it held is to be settled, as soon as the database can be reached."""
        self._deaths.put((worker_id, death))
        self.wake()

    def retire(self, timeout_s: float) -> None:
        """Settle what is left and take the worker's row away; or leave that to the end of its lease."""
        self._stopping.set()
        self.wake()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            pause_s = self._settings.worker.heartbeat_s
            try:
                self._step()
            except Exception as exc:  # the lease must be kept whatever goes wrong in one round
                pause_s = min(RETRY_S, pause_s)
                _report(exc)
            self._woken.wait(pause_s)
            self._stopping.wait(GATHER_S)  # a burst of wishes is one look
            self._woken.clear()
        try:
            self._settle_deaths()
            if self.worker_id is not None:
                self._line.execute(workers.retire_worker(), worker=self.worker_id)
                log.info("worker.stopped", worker_id=self.worker_id)
        except Exception as exc:  # the lease runs out by itself
            log.warning("worker.not_retired", worker_id=self.worker_id, error=first_line(exc))
        self._line.close()

    def _step(self) -> None:
        if self.worker_id is None:
            self._register()
        asked_at = time.monotonic()
        if not self._line.execute(leases.heartbeat(), worker=self.worker_id):
            log.error("worker.declared_dead", worker_id=self.worker_id)
            self.count_loss()
            self.worker_id, self.ends_at = None, float("-inf")
            self.wake()
            return
        self.ends_at, self._is_lost = asked_at + self._settings.worker.lease_s, False
        self._settle_deaths()
        self._compare()
        if asked_at - self._touched_at >= TOUCH_TYPES_S:
            self._line.execute(workers.touch_types(), types=list(self._plugins))
            self._touched_at = asked_at

    def _register(self) -> None:
        asked_at = time.monotonic()
        self._line.execute(type_rows(self._plugins))
        (row,) = self._line.execute(worker_row(self._settings.worker, self._plugins, slots=self._slots))
        self._touched_at, self.ends_at = asked_at, asked_at + self._settings.worker.lease_s
        self.worker_id = row.id
        log.info("worker.registered", worker_id=row.id, types=sorted(self._plugins))

    def _settle_deaths(self) -> None:
        while not self._deaths.empty():
            self._unsettled.append(self._deaths.get())
        while self._unsettled:
            worker_id, death = self._unsettled[0]
            held = self._line.execute(leases.held_by_executor(), worker=worker_id, incarnation=death.incarnation)
            self._settle(worker_id, executor_exits.ends(death, held, self._plugins))
            self._unsettled.pop(0)

    def _compare(self) -> None:
        """Both ways: what the database holds and the processes do not goes back; what only they hold is dropped."""
        reports = {held.incarnation: held for held in self._reports()}
        rows = self._line.execute(leases.held_by_worker(), worker=self.worker_id)
        now = time.monotonic()
        here = {(row.id, row.attempt) for row in rows}
        fresh = [held for held in reports.values() if now - held.as_of < FRESH_S]
        if astray := self._missing.look(rows, reports, now):
            verdict = outcomes.returned(Reason.CLAIM_LOST)
            self._settle(
                self.worker_id or 0,
                [Finished(Lease(row.id, row.attempt, row.lease_token), row.type, verdict) for row in astray],
            )
        drop = [(held.incarnation, one) for held in fresh for one in held.attempts - here]
        cancel = [row for row in rows if row.status == "cancelling"]
        pause = [row for row in rows if row.pause_requested]
        overrides = overrides_of(self._line.execute(list_overrides()))
        self.wishes.put(Wishes(self.worker_id or 0, cancel, pause, drop, self._wanted_queues(), overrides))

    def _settle(self, worker_id: int, batch: list[Finished]) -> None:
        if batch:
            self._line.execute(settlements.settle(), rows=settlements.rows(batch), by=worker_actor(worker_id))
            count_ends(batch)
            for channel in (OUTBOX, DEPENDENTS, SETTLED):
                self._line.execute(text(f"NOTIFY {channel}"))
            log.warning("tasks.returned", count=len(batch), task_ids=[one.lease.task_id for one in batch[:10]])

    def _wanted_queues(self) -> list[str]:
        """The queues set for this worker; where none are, every queue there is, and those of its types."""
        if self._settings.worker.queues:
            return list(self._settings.worker.queues)
        known = {row.name for row in self._line.execute(queue_queries.queue_names())}
        return sorted(known | {plugin.queue for plugin in self._plugins.values()})


def _report(exc: Exception) -> None:
    if is_database_away(exc):
        log.warning("database.away", error=first_line(exc))
    else:
        log.exception("lease.failed")
