"""The supervisor: it keeps a worker's lease and executor processes, and runs no plugin code.

That is why there are two kinds of process: a plugin that holds the GIL, or takes its process down, cannot stop the
heartbeat. The main thread here never waits for a network, so that it can kill the executors before the lease expires.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing.connection import wait
from threading import Event

import structlog

from taskcore.leasing.executor_exits import ExitKind
from taskcore.leasing.lease_manager import SOFT_FENCE_SHARE, Directives, LeaseManager
from taskcore.leasing.liveness import LivenessSignals
from taskcore.live_settings import CurrentSettings
from taskcore.observability.logging import set_log_level
from taskcore.plugins.interrupts import InterruptCause
from taskcore.settings import Settings
from taskworker.supervisor.executor_handle import ExecutorHandle
from taskworker.supervisor.executor_pool import ExecutorPool
from taskworker.supervisor.kill_plan import plan_kill
from taskworker.supervisor.protocol import Command, ConsumeQueues, Interrupt, RequestPause, SetLogLevel, Stop

RESPAWN_DELAY_S = 1.0
SHUTDOWN_MARGIN_S = 8.0
TICK_INTERVAL_S = 0.1
#: The share of a lease that is left when attempts that were interrupted and have not stopped are killed.
HARD_FENCE_SHARE = 0.1

log = structlog.stdlib.get_logger(__name__)


class Supervisor:
    """One worker, from its registration to its end.

    Signal handlers may set `stop`, which drains the worker, and `force_stop`, which ends the grace.
    """

    def __init__(
        self,
        settings: Settings,
        lease: LeaseManager,
        executors: ExecutorPool,
        liveness: LivenessSignals,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker = settings.worker
        self._settings = CurrentSettings(settings)
        self._settings.on_change(self._apply_settings)
        self._lease = lease
        self._executors = executors
        self._liveness = liveness
        self._clock = clock
        self._worker_id: int | None = None
        self._queues: list[str] = []
        self._spawn_at = 0.0
        self._is_fenced = False
        self.stop = Event()
        self.force_stop = Event()

    @property
    def is_ready(self) -> bool:
        """Whether the worker is registered, its last heartbeats succeeded, and an executor has reported."""
        has_executor = any(handle.report is not None for handle in self._executors)
        return self._worker_id is not None and self._lease.is_fresh and has_executor

    def run(self) -> None:
        """Work until `stop` is set, then drain within the grace. Wait for the database while it is unavailable."""
        self._lease.start()
        while not self.stop.is_set():
            self.tick()
            self._wait()
        self.drain()

    def tick(self) -> None:
        self._check_lease()
        self._apply_directives()
        self._reap()
        for handle in self._executors:
            handle.read_reports()
            self._kill_stuck(handle)
        may_spawn = self._clock() >= self._spawn_at and not self._lease.is_expiring(SOFT_FENCE_SHARE)
        if self._worker_id is not None and may_spawn:
            self._executors.respawn(self._worker_id, self._queues)

    def drain(self) -> None:
        """Stop all executors within the grace, kill those that do not end, and deregister the worker."""
        grace_s = self._worker.grace_s
        log.info("worker.draining", worker_id=self._worker_id, grace_s=grace_s)
        for handle in self._executors:
            handle.send(Stop(grace_s))
            handle.is_stopping = True
        self._wait_for_executors(self._clock() + grace_s + SHUTDOWN_MARGIN_S)
        self._kill_all(ExitKind.DRAINED)
        self._liveness.stop()
        self._lease.deregister(SHUTDOWN_MARGIN_S)

    def _wait_for_executors(self, deadline: float) -> None:
        while len(self._executors) and self._clock() < deadline and not self.force_stop.is_set():
            self._check_lease()
            self._apply_directives()
            for handle in self._executors:
                handle.read_reports()
            self._reap()
            self._wait()

    def _wait(self) -> None:
        wait(self._executors.wait_objects(), timeout=TICK_INTERVAL_S)

    def _kill_stuck(self, handle: ExecutorHandle) -> None:
        kill = plan_kill(
            handle.state(), self._clock(), kill_after_s=self._worker.kill_after_s, lease_s=self._worker.lease_s
        )
        if kill is not None:
            event = "executor.stuck" if kill.kind is ExitKind.STUCK else "executor.unresponsive"
            silent_s = round(handle.silence.elapsed_s, 1)
            log.error(event, incarnation=handle.incarnation, attempts=sorted(kill.stuck), silent_s=silent_s)
            handle.kill(kill.kind, kill.timed_out)

    def _check_lease(self) -> None:
        """Kill the executors when the lease is a new one, which makes this a new worker; otherwise check the fence."""
        if self._lease.worker_id != self._worker_id:
            self._kill_all(ExitKind.FENCED)
            self._worker_id = self._lease.worker_id
            self._liveness.switch_to(self._worker_id)
        else:
            self._check_fence()

    def _check_fence(self) -> None:
        """Before another worker may run the same tasks, interrupt all attempts, and kill those that do not stop."""
        is_unseen = self._liveness.all_lost()
        is_up = is_unseen or self._lease.is_expiring(SOFT_FENCE_SHARE)
        if is_up and not self._is_fenced and self._worker_id is not None:
            log.error("worker.fenced", worker_id=self._worker_id, is_unseen=is_unseen)
            self._lease.record_loss()
        self._is_fenced = is_up
        must_kill = is_unseen or self._lease.is_expiring(HARD_FENCE_SHARE)
        for handle in self._executors:
            handle.set_fence(is_up)
            if must_kill and not handle.is_idle:
                handle.kill(ExitKind.FENCED)

    def _apply_directives(self) -> None:
        while not self._lease.directives.empty():
            directives = self._lease.directives.get()
            if directives.worker_id == self._worker_id:
                self._apply(directives)

    def _apply(self, directives: Directives) -> None:
        for held in directives.cancel:
            self._send(held.executor, Interrupt(held.key, InterruptCause.CANCEL))
        for held in directives.pause:
            self._send(held.executor, RequestPause(held.key))
        for incarnation, key in directives.drop:
            self._send(incarnation, Interrupt(key, InterruptCause.FENCE))
        self._settings.apply_overrides(directives.overrides)
        if directives.queues != self._queues:
            self._queues = list(directives.queues)
            self._send_all(ConsumeQueues(tuple(self._queues)))

    def _apply_settings(self) -> None:
        self._executors.settings = self._settings.now
        level = self._settings.now.log.level
        set_log_level(level)
        self._send_all(SetLogLevel(level))

    def _send(self, incarnation: int, command: Command) -> None:
        if (handle := self._executors.get(incarnation)) is not None:
            handle.send(command)

    def _send_all(self, command: Command) -> None:
        for handle in self._executors:
            handle.send(command)

    def _reap(self) -> None:
        for worker_id, exit_ in self._executors.reap():
            self._lease.record_exit(worker_id, exit_)
            self._spawn_at = self._clock() + RESPAWN_DELAY_S

    def _kill_all(self, kind: ExitKind) -> None:
        self._executors.kill_all(kind)
        self._reap()
