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

from taskcore.leasing.executor_exits import Kind
from taskcore.leasing.lease_manager import SOFT_FENCE, LeaseKeeper, Wishes
from taskcore.leasing.liveness import MakeWitnesses, Witnesses
from taskcore.leasing.lost_claims import NEVER, Held
from taskcore.live_settings import CurrentSettings
from taskcore.observability.telemetry import set_log_level
from taskcore.plugins import Plugins
from taskcore.plugins.cancellation import Cause
from taskcore.settings import Settings
from taskworker.supervisor.executor_handle import Child
from taskworker.supervisor.executor_pool import Executors
from taskworker.supervisor.executor_process import AskPause, Interrupt, LogFrom, Serve, Stop

RESPAWN_S = 1.0
EXIT_MARGIN_S = 8.0
TICK_S = 0.1
MISSED_BEATS = 2
#: The share of a lease that is left when those of its tasks are killed that were told to stop and have not.
HARD_FENCE = 0.1

log = structlog.stdlib.get_logger(__name__)


class Supervisor:
    """One worker, from its registration to its end. `stop` may be set from a signal handler; `hurry` ends the grace."""

    def __init__(self, settings: Settings, engine: Engine, plugins: Plugins, make_witnesses: MakeWitnesses) -> None:
        self._worker = settings.worker
        self._settings = CurrentSettings(settings)
        self._settings.on_change(self._pass_settings_on)
        self._executors = Executors(settings)
        slots = settings.worker.processes * settings.worker.threads
        self._lease = LeaseKeeper(settings, engine, plugins, self._held, slots=slots)
        self._witnesses = Witnesses(make_witnesses, self._lease.wake, self._worker.heartbeat_s)
        self._worker_id: int | None = None
        self._queues: list[str] = []
        self._spawn_at = 0.0
        self._is_fenced = False
        self.stop = Event()
        self.hurry = Event()

    @property
    def is_ready(self) -> bool:
        """Registered, heard by the database lately, and with an executor at work."""
        silence_s = time.monotonic() - (self._lease.ends_at - self._worker.lease_s)
        is_fresh = silence_s < MISSED_BEATS * self._worker.heartbeat_s
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
        self._follow_lease()
        self._fulfil_wishes()
        self._bury_dead()
        for child in self._executors:
            child.hear()
            self._end_what_hangs(child)
        is_time = time.monotonic() >= self._spawn_at and not self._lease.is_ending(SOFT_FENCE)
        if self._worker_id is not None and is_time:
            self._executors.fill(self._worker_id, self._queues)

    def _end_what_hangs(self, child: Child) -> None:
        """Kill a process with attempts that will not stop, or that is frozen as a whole."""
        told, late = child.stuck(self._worker.kill_after_s)
        stuck = told | late
        if child.is_frozen(self._worker.lease_s) or (stuck and child.hides_who_is_stuck):
            log.error("executor.frozen", incarnation=child.incarnation, silent_s=round(child.silence.lasted_s, 1))
            child.kill(Kind.FROZEN)
        elif stuck:
            log.error("executor.stuck", incarnation=child.incarnation, attempts=sorted(stuck))
            child.kill(Kind.STUCK, late - told)

    def _wait(self) -> None:
        waitable = self._executors.waitable()
        if waitable:
            wait(waitable, timeout=TICK_S)
        else:
            self.stop.wait(TICK_S)

    def _follow_lease(self) -> None:
        """A new lease is a new worker; one that is about to end, or that nobody can see any more, ends all work."""
        if self._lease.worker_id != self._worker_id:
            self._kill(Kind.FENCED)
            self._worker_id = self._lease.worker_id
            self._witnesses.follow(self._worker_id)
        else:
            self._mind_fence()

    def _mind_fence(self) -> None:
        """Before others may run its tasks, this worker's are told to stop, and what does not is killed."""
        is_unseen = self._witnesses.are_gone()
        is_up = is_unseen or self._lease.is_ending(SOFT_FENCE)
        if is_up and not self._is_fenced and self._worker_id is not None:
            log.error("worker.fenced", worker_id=self._worker_id, is_unseen=is_unseen)
            self._lease.count_loss()
        self._is_fenced = is_up
        for child in self._executors:
            child.fence(is_up)
            if (is_unseen or self._lease.is_ending(HARD_FENCE)) and not child.is_idle:
                child.kill(Kind.FENCED)

    def _fulfil_wishes(self) -> None:
        while not self._lease.wishes.empty():
            wishes = self._lease.wishes.get()
            if wishes.worker_id == self._worker_id:
                self._fulfil(wishes)

    def _fulfil(self, wishes: Wishes) -> None:
        for row in wishes.cancel:
            self._order(row.executor, Interrupt(row.id, row.attempt, Cause.CANCEL))
        for row in wishes.pause:
            self._order(row.executor, AskPause(row.id, row.attempt))
        for incarnation, (task_id, attempt) in wishes.drop:
            self._order(incarnation, Interrupt(task_id, attempt, Cause.FENCE))
        self._settings.override(wishes.overrides)
        if wishes.queues != self._queues:
            self._queues = list(wishes.queues)
            for child in self._executors:
                child.order(Serve(tuple(self._queues)))

    def _pass_settings_on(self) -> None:
        self._executors.settings = self._settings.now
        level = self._settings.now.log.level
        set_log_level(level)
        for child in self._executors:
            child.order(LogFrom(level))

    def _order(self, incarnation: int, order: Any) -> None:
        child = self._executors.of(incarnation)
        if child is not None:
            child.order(order)

    def _bury_dead(self) -> None:
        for worker_id, death in self._executors.bury():
            self._lease.add(worker_id, death)
            self._spawn_at = time.monotonic() + RESPAWN_S

    def _kill(self, kind: Kind) -> None:
        self._executors.kill(kind)
        self._bury_dead()

    def _drain(self) -> None:
        grace_s = self._worker.grace_s
        log.info("worker.draining", worker_id=self._worker_id, grace_s=grace_s)
        for child in self._executors:
            child.order(Stop(grace_s))
            child.is_stopping = True
        deadline = time.monotonic() + grace_s + EXIT_MARGIN_S
        while len(self._executors) and time.monotonic() < deadline and not self.hurry.is_set():
            self._follow_lease()
            self._fulfil_wishes()
            for child in self._executors:
                child.hear()
            self._bury_dead()
            self._wait()
        for child in self._executors:
            child.kill(Kind.DRAINED)
        self._executors.kill(Kind.DRAINED)
        self._bury_dead()
        self._witnesses.stop()
        self._lease.retire(EXIT_MARGIN_S)

    def _held(self) -> list[Held]:
        """Of each process that lives: what is held by one that is not listed is nobody's."""
        reports = [(child.incarnation, child.report) for child in self._executors]
        return [Held(incarnation, r.as_of, r.attempts) if r else Held(incarnation, NEVER) for incarnation, r in reports]
