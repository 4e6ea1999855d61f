"""The supervisor: keeps a worker's executor processes, and its lease. It runs no plugin code.

A plugin that holds the GIL, or takes its process down, cannot stop the heartbeat: that is why there are two kinds of
process. The main thread here never waits for a network, so that it can kill the executors before the lease ends.
"""

from __future__ import annotations

import time
from multiprocessing.connection import wait
from threading import Event
from typing import Any

import structlog
from sqlalchemy import Engine

from taskcore.leasing.executor_exits import ExitKind
from taskcore.leasing.lease_manager import SOFT_FENCE_SHARE, Directives, LeaseManager
from taskcore.leasing.liveness import LivenessSignalFactory, LivenessSignals
from taskcore.leasing.lost_claims import NEVER_REPORTED, ProcessReport
from taskcore.live_settings import CurrentSettings
from taskcore.observability.logging import set_log_level
from taskcore.plugins import Plugins
from taskcore.plugins.cancellation import InterruptCause
from taskcore.settings import Settings
from taskworker.supervisor.executor_handle import ExecutorHandle
from taskworker.supervisor.executor_pool import ExecutorPool
from taskworker.supervisor.executor_process import ConsumeQueues, Interrupt, RequestPause, SetLogLevel, Stop

RESPAWN_DELAY_S = 1.0
SHUTDOWN_MARGIN_S = 8.0
TICK_INTERVAL_S = 0.1
MAX_MISSED_HEARTBEATS = 2
#: The share of a lease that is left when those of its tasks are killed that were told to stop and have not.
HARD_FENCE_SHARE = 0.1

log = structlog.stdlib.get_logger(__name__)


class Supervisor:
    """One worker, from its registration to its end. `stop` may be set from a signal handler; `hurry` ends the grace."""

    def __init__(
        self, settings: Settings, engine: Engine, plugins: Plugins, make_signals: LivenessSignalFactory
    ) -> None:
        self._worker = settings.worker
        self._settings = CurrentSettings(settings)
        self._settings.on_change(self._apply_settings)
        self._executors = ExecutorPool(settings)
        slots = settings.worker.processes * settings.worker.threads
        self._lease = LeaseManager(settings, engine, plugins, self._reports, slots=slots)
        self._liveness = LivenessSignals(make_signals, self._lease.wake, self._worker.heartbeat_s)
        self._worker_id: int | None = None
        self._queues: list[str] = []
        self._spawn_at = 0.0
        self._is_fenced = False
        self.stop = Event()
        self.force_stop = Event()

    @property
    def is_ready(self) -> bool:
        """Registered, heard by the database lately, and with an executor at work."""
        silence_s = time.monotonic() - (self._lease.expires_at - self._worker.lease_s)
        is_fresh = silence_s < MAX_MISSED_HEARTBEATS * self._worker.heartbeat_s
        is_at_work = any(child.report is not None for child in self._executors)
        return self._worker_id is not None and is_fresh and is_at_work

    def run(self) -> None:
        """Until `stop` is set; then drains within the grace. A database that is away is waited for."""
        self._lease.start()
        while not self.stop.is_set():
            self._tick()
            self._wait()
        self._drain()

    def _tick(self) -> None:
        self._check_lease()
        self._apply_directives()
        self._reap()
        for child in self._executors:
            child.read_reports()
            self._kill_stuck(child)
        is_time = time.monotonic() >= self._spawn_at and not self._lease.is_expiring(SOFT_FENCE_SHARE)
        if self._worker_id is not None and is_time:
            self._executors.respawn(self._worker_id, self._queues)

    def _kill_stuck(self, child: ExecutorHandle) -> None:
        """Kill a process with attempts that will not stop, or that is frozen as a whole."""
        told, late = child.overdue_attempts(self._worker.kill_after_s)
        stuck = told | late
        if child.is_unresponsive(self._worker.lease_s) or (stuck and child.stuck_is_ambiguous):
            log.error(
                "executor.unresponsive", incarnation=child.incarnation, silent_s=round(child.silence.elapsed_s, 1)
            )
            child.kill(ExitKind.UNRESPONSIVE)
        elif stuck:
            log.error("executor.stuck", incarnation=child.incarnation, attempts=sorted(stuck))
            child.kill(ExitKind.STUCK, late - told)

    def _wait(self) -> None:
        waitable = self._executors.wait_objects()
        if waitable:
            wait(waitable, timeout=TICK_INTERVAL_S)
        else:
            self.stop.wait(TICK_INTERVAL_S)

    def _check_lease(self) -> None:
        """A new lease is a new worker; one that is about to end, or that nobody can see any more, ends all work."""
        if self._lease.worker_id != self._worker_id:
            self._kill_all(ExitKind.FENCED)
            self._worker_id = self._lease.worker_id
            self._liveness.switch_to(self._worker_id)
        else:
            self._check_fence()

    def _check_fence(self) -> None:
        """Before others may run its tasks, this worker's are told to stop, and what does not is killed."""
        is_unseen = self._liveness.all_lost()
        is_up = is_unseen or self._lease.is_expiring(SOFT_FENCE_SHARE)
        if is_up and not self._is_fenced and self._worker_id is not None:
            log.error("worker.fenced", worker_id=self._worker_id, is_unseen=is_unseen)
            self._lease.record_loss()
        self._is_fenced = is_up
        for child in self._executors:
            child.set_fence(is_up)
            if (is_unseen or self._lease.is_expiring(HARD_FENCE_SHARE)) and not child.is_idle:
                child.kill(ExitKind.FENCED)

    def _apply_directives(self) -> None:
        while not self._lease.directives.empty():
            wishes = self._lease.directives.get()
            if wishes.worker_id == self._worker_id:
                self._apply(wishes)

    def _apply(self, wishes: Directives) -> None:
        for row in wishes.cancel:
            self._send(row.executor, Interrupt(row.id, row.attempt, InterruptCause.CANCEL))
        for row in wishes.pause:
            self._send(row.executor, RequestPause(row.id, row.attempt))
        for incarnation, (task_id, attempt) in wishes.drop:
            self._send(incarnation, Interrupt(task_id, attempt, InterruptCause.FENCE))
        self._settings.apply_overrides(wishes.overrides)
        if wishes.queues != self._queues:
            self._queues = list(wishes.queues)
            for child in self._executors:
                child.send(ConsumeQueues(tuple(self._queues)))

    def _apply_settings(self) -> None:
        self._executors.settings = self._settings.now
        level = self._settings.now.log.level
        set_log_level(level)
        for child in self._executors:
            child.send(SetLogLevel(level))

    def _send(self, incarnation: int, order: Any) -> None:
        child = self._executors.get(incarnation)
        if child is not None:
            child.send(order)

    def _reap(self) -> None:
        for worker_id, death in self._executors.reap():
            self._lease.record_exit(worker_id, death)
            self._spawn_at = time.monotonic() + RESPAWN_DELAY_S

    def _kill_all(self, kind: ExitKind) -> None:
        self._executors.kill_all(kind)
        self._reap()

    def _drain(self) -> None:
        grace_s = self._worker.grace_s
        log.info("worker.draining", worker_id=self._worker_id, grace_s=grace_s)
        for child in self._executors:
            child.send(Stop(grace_s))
            child.is_stopping = True
        deadline = time.monotonic() + grace_s + SHUTDOWN_MARGIN_S
        while len(self._executors) and time.monotonic() < deadline and not self.force_stop.is_set():
            self._check_lease()
            self._apply_directives()
            for child in self._executors:
                child.read_reports()
            self._reap()
            self._wait()
        for child in self._executors:
            child.kill(ExitKind.DRAINED)
        self._executors.kill_all(ExitKind.DRAINED)
        self._reap()
        self._liveness.stop()
        self._lease.deregister(SHUTDOWN_MARGIN_S)

    def _reports(self) -> list[ProcessReport]:
        """Of each process that lives: what is held by one that is not listed is nobody's."""
        reports = [(child.incarnation, child.report) for child in self._executors]
        return [
            ProcessReport(incarnation, r.as_of, r.attempts) if r else ProcessReport(incarnation, NEVER_REPORTED)
            for incarnation, r in reports
        ]
