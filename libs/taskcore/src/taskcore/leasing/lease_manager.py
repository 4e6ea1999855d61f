"""A worker's lease: a thread that registers the worker, sends heartbeats, and compares held attempts with the database.

Only this thread talks to the database for the supervisor, whose main thread must never wait for a network. The main
thread watches `expires_at`, and kills the executors before another worker may run their tasks.
"""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Engine, Executable

from taskcore.db.engine import is_database_unavailable
from taskcore.db.live_settings import list_overrides
from taskcore.db.notify import DEPENDENTS, OUTBOX, SETTLED, notify
from taskcore.db.queues import queues as queue_queries
from taskcore.db.tasks import settlements
from taskcore.db.tasks.result_rows import result_rows
from taskcore.db.workers import leases, workers
from taskcore.db.workers.leases import HeldAttempt
from taskcore.domain import outcomes
from taskcore.domain.outcomes import Reason
from taskcore.domain.states import Status
from taskcore.domain.tasks import AttemptKey, FinishedAttempt, worker_actor
from taskcore.errors import first_line
from taskcore.leasing import executor_exits
from taskcore.leasing.dedicated_connection import DedicatedConnection
from taskcore.leasing.executor_exits import ExecutorExit
from taskcore.leasing.lost_claims import LostClaimDetector, ProcessReport, compare
from taskcore.leasing.registration import type_row
from taskcore.live_settings import to_overrides
from taskcore.observability.attempt_log import FailureLog
from taskcore.observability.metrics import LEASE_LOSSES, record_results
from taskcore.observability.outages import DATABASE
from taskcore.plugins import Plugins
from taskcore.settings import Settings

TYPE_REFRESH_INTERVAL_S = 60.0
RETRY_DELAY_S = 0.5
#: A burst of notifications within this time is one round.
DEBOUNCE_S = 0.02

#: A worker that has missed this many heartbeats is not ready.
MAX_MISSED_HEARTBEATS = 2
#: The share of a lease that is left when its tasks are interrupted.
SOFT_FENCE_SHARE = 0.25

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Directives:
    """What the executors have to do: attempts to cancel, to pause, or to drop because the lease is gone."""

    worker_id: int
    cancel: Sequence[HeldAttempt]
    pause: Sequence[HeldAttempt]
    drop: Sequence[tuple[int, AttemptKey]]  # (incarnation, attempt)
    queues: Sequence[str]
    overrides: Mapping[str, Any]  # of live settings


class LeaseManager:
    """Calls `reports` for what the processes hold, and puts what they have to do into `directives`.

    `worker_id` is None until the worker is registered; a worker that was declared dead gets a new id. `expires_at` is
    when the lease expires, on the monotonic clock.
    """

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
        self._unsettled_exits: deque[tuple[int, ExecutorExit]] = deque()
        self._lost_claims = LostClaimDetector()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-manager", daemon=True)
        self._types_refreshed_at = float("-inf")
        self._is_lost = False
        self._failures = FailureLog()
        self.worker_id: int | None = None
        self.expires_at = float("-inf")
        self.directives: queue.SimpleQueue[Directives] = queue.SimpleQueue()

    def start(self) -> None:
        self._thread.start()

    @property
    def is_fresh(self) -> bool:
        """Whether the last heartbeats succeeded."""
        worker = self._settings.worker
        silent_s = time.monotonic() - (self.expires_at - worker.lease_s)
        return silent_s < MAX_MISSED_HEARTBEATS * worker.heartbeat_s

    def is_expiring(self, share: float) -> bool:
        """Return whether no more than `share` of the lease is left."""
        return time.monotonic() >= self.expires_at - share * self._settings.worker.lease_s

    def record_loss(self) -> None:
        """Count a lease that could not be renewed in time: once, until a heartbeat succeeds again."""
        if not self._is_lost:
            self._is_lost = True
            LEASE_LOSSES.inc()

    def wake(self) -> None:
        """Begin the next round now: a task of this worker has changed."""
        self._woken.set()

    def record_exit(self, worker_id: int, exit_: ExecutorExit) -> None:
        """Settle what the process held as soon as the database is available."""
        self._unsettled_exits.append((worker_id, exit_))
        self.wake()

    def deregister(self, timeout_s: float) -> None:
        """Settle what is left and delete the worker's row. After `timeout_s`, leave that to the end of the lease."""
        self._stopping.set()
        self.wake()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            pause_s = self._settings.worker.heartbeat_s
            try:
                self._step()
                DATABASE.succeeded()
            except Exception as exc:  # whatever fails in one round, the lease has to be renewed in the next
                pause_s = min(RETRY_DELAY_S, pause_s)
                if is_database_unavailable(exc):
                    DATABASE.failed(exc)
                else:
                    log.exception("lease_manager.error")
            self._woken.wait(pause_s)
            self._stopping.wait(DEBOUNCE_S)
            self._woken.clear()
        self._finish()

    def _finish(self) -> None:
        try:
            self._settle_exits()
            if self.worker_id is not None:
                self._connection.execute(workers.deregister_worker(), worker=self.worker_id)
                log.info("worker.stopped", worker_id=self.worker_id)
        except Exception as exc:  # the lease expires by itself
            log.warning("worker.deregister_failed", worker_id=self.worker_id, error=first_line(exc))
        self._connection.close()

    def _step(self) -> None:
        if self.worker_id is None:
            self._register()
        sent_at = time.monotonic()
        if not self._connection.execute(leases.heartbeat(), worker=self.worker_id):
            log.error("worker.declared_dead", worker_id=self.worker_id)
            self.record_loss()
            self.worker_id, self.expires_at = None, float("-inf")
            self.wake()
            return
        self.expires_at, self._is_lost = sent_at + self._settings.worker.lease_s, False
        self._settle_exits()
        self._reconcile()
        if sent_at - self._types_refreshed_at >= TYPE_REFRESH_INTERVAL_S:
            self._connection.execute(workers.touch_types(), types=list(self._plugins))
            self._types_refreshed_at = sent_at

    def _register(self) -> None:
        sent_at = time.monotonic()
        self._connection.execute(workers.register_types([type_row(plugin) for plugin in self._plugins.values()]))
        statement = workers.register_worker(
            host=socket.gethostname(),
            pid=os.getpid(),
            slots=self._slots,
            queues=self._settings.worker.queues,
            types=sorted(self._plugins),
            lease_s=self._settings.worker.lease_s,
        )
        (row,) = self._connection.execute(statement)
        self._types_refreshed_at, self.expires_at = sent_at, sent_at + self._settings.worker.lease_s
        self.worker_id = row.id
        self._connection.execute(notify(OUTBOX))  # tasks may wait for a worker that knows their type
        log.info("worker.registered", worker_id=row.id, types=sorted(self._plugins))

    def _settle_exits(self) -> None:
        while self._unsettled_exits:
            worker_id, exit_ = self._unsettled_exits[0]
            held = self._held(leases.held_by_executor(), worker=worker_id, incarnation=exit_.incarnation)
            self._settle(worker_id, executor_exits.plan_results(exit_, held, self._plugins))
            self._unsettled_exits.popleft()

    def _reconcile(self) -> None:
        """Requeue what only the database holds, and let the executors drop what only they hold."""
        reports = {report.incarnation: report for report in self._reports()}
        held = self._held(leases.held_by_worker(), worker=self.worker_id)
        now = time.monotonic()
        comparison = compare(held, reports, now)
        if lost := self._lost_claims.check(comparison, now):
            result = outcomes.released(Reason.CLAIM_LOST)
            self._settle(self.worker_id or 0, [attempt.finish(result) for attempt in lost])
        cancel = [attempt for attempt in held if attempt.status is Status.CANCELLING]
        pause = [attempt for attempt in held if attempt.pause_requested]
        overrides = to_overrides(self._connection.execute(list_overrides()))
        self.directives.put(
            Directives(self.worker_id or 0, cancel, pause, comparison.surplus, self._queues_to_consume(), overrides)
        )

    def _held(self, statement: Executable, **parameters: Any) -> list[HeldAttempt]:
        return [HeldAttempt.from_row(row) for row in self._connection.execute(statement, **parameters)]

    def _settle(self, worker_id: int, batch: list[FinishedAttempt]) -> None:
        if batch:
            self._connection.execute(settlements.settle(), rows=result_rows(batch), by=worker_actor(worker_id))
            record_results(batch)
            self._failures.record(batch)
            for channel in (OUTBOX, DEPENDENTS, SETTLED):
                self._connection.execute(notify(channel))
            log.warning("tasks.recovered", count=len(batch), task_ids=[one.lease.task_id for one in batch[:10]])

    def _queues_to_consume(self) -> list[str]:
        """Return the queues set for this worker, or else all queues and those of its task types."""
        if self._settings.worker.queues:
            return list(self._settings.worker.queues)
        known = {row.name for row in self._connection.execute(queue_queries.queue_names())}
        return sorted(known | {plugin.queue for plugin in self._plugins.values()})
