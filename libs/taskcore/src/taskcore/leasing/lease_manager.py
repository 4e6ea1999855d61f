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

from taskcore.db.engine import is_database_unavailable
from taskcore.db.notify import DEPENDENTS, OUTBOX, SETTLED
from taskcore.db.overrides import list_overrides
from taskcore.db.queues import queues as queue_queries
from taskcore.db.tasks import settlements
from taskcore.db.workers import leases, workers
from taskcore.domain import outcomes
from taskcore.domain.outcomes import Reason
from taskcore.domain.tasks import FinishedAttempt, Lease, worker_actor
from taskcore.errors import first_line
from taskcore.leasing import executor_exits
from taskcore.leasing.dedicated_connection import DedicatedConnection
from taskcore.leasing.executor_exits import ExecutorExit
from taskcore.leasing.lost_claims import MAX_REPORT_AGE_S, LostClaimDetector, ProcessReport
from taskcore.leasing.registration import register_types, register_worker
from taskcore.live_settings import to_overrides
from taskcore.observability.metrics import LEASE_LOSSES, record_results
from taskcore.plugins import Plugins
from taskcore.settings import Settings

TYPE_REFRESH_INTERVAL_S = 60.0
RETRY_DELAY_S = 0.5
DEBOUNCE_S = 0.02

#: The share of a lease that is left when its tasks are told to stop.
SOFT_FENCE_SHARE = 0.25

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Directives:
    """What the database wants of the processes: attempts to cancel, to pause, and to drop, being held no more."""

    worker_id: int
    cancel: Sequence[Any]
    pause: Sequence[Any]
    drop: Sequence[tuple[int, tuple[int, int]]]
    queues: Sequence[str]
    overrides: Mapping[str, Any]  # of live settings


class LeaseManager:
    """`reports` is asked for what the processes hold; `wishes` is where to hear what is to be done about it."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        plugins: Plugins,
        reports: Callable[[], Sequence[ProcessReport]],
        *,
        slots: int,
    ) -> None:
        self._settings = settings
        self._slots = slots
        self._plugins = plugins
        self._reports = reports
        self._connection = DedicatedConnection(engine, timeout_s=settings.worker.lease_s / 2)
        self._exits: queue.SimpleQueue[tuple[int, ExecutorExit]] = queue.SimpleQueue()
        self._unsettled_exits: list[tuple[int, ExecutorExit]] = []
        self._lost_claims = LostClaimDetector()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._beat_at = self._types_refreshed_at = float("-inf")
        self._is_lost = False
        self.worker_id: int | None = None
        self.expires_at = float("-inf")
        self.directives: queue.SimpleQueue[Directives] = queue.SimpleQueue()

    def start(self) -> None:
        self._thread.start()

    def is_expiring(self, share: float) -> bool:
        """Whether no more than that share of the lease is left."""
        return time.monotonic() >= self.expires_at - share * self._settings.worker.lease_s

    def record_loss(self) -> None:
        """This lease cannot be kept, and its tasks were told to stop. Counts once, until a heartbeat is heard again."""
        if not self._is_lost:
            self._is_lost = True
            LEASE_LOSSES.inc()

    def wake(self) -> None:
        """Somebody wants something of this worker's tasks: look now."""
        self._woken.set()

    def record_exit(self, worker_id: int, death: ExecutorExit) -> None:
        """A process is gone: what it held is to be settled, as soon as the database can be reached."""
        self._exits.put((worker_id, death))
        self.wake()

    def deregister(self, timeout_s: float) -> None:
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
                pause_s = min(RETRY_DELAY_S, pause_s)
                _log_failure(exc)
            self._woken.wait(pause_s)
            self._stopping.wait(DEBOUNCE_S)  # a burst of wishes is one look
            self._woken.clear()
        try:
            self._settle_exits()
            if self.worker_id is not None:
                self._connection.execute(workers.deregister_worker(), worker=self.worker_id)
                log.info("worker.stopped", worker_id=self.worker_id)
        except Exception as exc:  # the lease runs out by itself
            log.warning("worker.deregister_failed", worker_id=self.worker_id, error=first_line(exc))
        self._connection.close()

    def _step(self) -> None:
        if self.worker_id is None:
            self._register()
        asked_at = time.monotonic()
        if not self._connection.execute(leases.heartbeat(), worker=self.worker_id):
            log.error("worker.declared_dead", worker_id=self.worker_id)
            self.record_loss()
            self.worker_id, self.expires_at = None, float("-inf")
            self.wake()
            return
        self.expires_at, self._is_lost = asked_at + self._settings.worker.lease_s, False
        self._settle_exits()
        self._reconcile()
        if asked_at - self._types_refreshed_at >= TYPE_REFRESH_INTERVAL_S:
            self._connection.execute(workers.touch_types(), types=list(self._plugins))
            self._types_refreshed_at = asked_at

    def _register(self) -> None:
        asked_at = time.monotonic()
        self._connection.execute(register_types(self._plugins))
        (row,) = self._connection.execute(register_worker(self._settings.worker, self._plugins, slots=self._slots))
        self._types_refreshed_at, self.expires_at = asked_at, asked_at + self._settings.worker.lease_s
        self.worker_id = row.id
        log.info("worker.registered", worker_id=row.id, types=sorted(self._plugins))

    def _settle_exits(self) -> None:
        while not self._exits.empty():
            self._unsettled_exits.append(self._exits.get())
        while self._unsettled_exits:
            worker_id, death = self._unsettled_exits[0]
            held = self._connection.execute(leases.held_by_executor(), worker=worker_id, incarnation=death.incarnation)
            self._settle(worker_id, executor_exits.plan_results(death, held, self._plugins))
            self._unsettled_exits.pop(0)

    def _reconcile(self) -> None:
        """Both ways: what the database holds and the processes do not goes back; what only they hold is dropped."""
        reports = {held.incarnation: held for held in self._reports()}
        rows = self._connection.execute(leases.held_by_worker(), worker=self.worker_id)
        now = time.monotonic()
        here = {(row.id, row.attempt) for row in rows}
        fresh = [held for held in reports.values() if now - held.as_of < MAX_REPORT_AGE_S]
        if astray := self._lost_claims.check(rows, reports, now):
            verdict = outcomes.released(Reason.CLAIM_LOST)
            self._settle(
                self.worker_id or 0,
                [FinishedAttempt(Lease(row.id, row.attempt, row.lease_token), row.type, verdict) for row in astray],
            )
        drop = [(held.incarnation, one) for held in fresh for one in held.attempts - here]
        cancel = [row for row in rows if row.status == "cancelling"]
        pause = [row for row in rows if row.pause_requested]
        overrides = to_overrides(self._connection.execute(list_overrides()))
        self.directives.put(Directives(self.worker_id or 0, cancel, pause, drop, self._queues_to_consume(), overrides))

    def _settle(self, worker_id: int, batch: list[FinishedAttempt]) -> None:
        if batch:
            self._connection.execute(
                settlements.settle(), rows=settlements.result_rows(batch), by=worker_actor(worker_id)
            )
            record_results(batch)
            for channel in (OUTBOX, DEPENDENTS, SETTLED):
                self._connection.execute(text(f"NOTIFY {channel}"))
            log.warning("tasks.recovered", count=len(batch), task_ids=[one.lease.task_id for one in batch[:10]])

    def _queues_to_consume(self) -> list[str]:
        """The queues set for this worker; where none are, every queue there is, and those of its types."""
        if self._settings.worker.queues:
            return list(self._settings.worker.queues)
        known = {row.name for row in self._connection.execute(queue_queries.queue_names())}
        return sorted(known | {plugin.queue for plugin in self._plugins.values()})


def _log_failure(exc: Exception) -> None:
    if is_database_unavailable(exc):
        log.warning("database.unavailable", error=first_line(exc))
    else:
        log.exception("lease_manager.error")
