"""The supervisor: keeps a worker's lease and its executor processes. It runs no plugin code.

A plugin that holds the GIL, or takes its process down, cannot stop the heartbeat: that is why there are two kinds of
process.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from threading import Event
from typing import Any

import structlog
from sqlalchemy import Engine

from taskcore.db import leases, settlements, workers
from taskcore.db import queues as queue_queries
from taskcore.db.session import is_database_away
from taskcore.domain.outcomes import lost
from taskcore.domain.tasks import Finished, Lease, worker_actor
from taskcore.plugins import Plugins
from taskcore.settings import Settings
from taskworker import executor_process
from taskworker.executor_process import Serve, Stop
from taskworker.registration import type_rows, worker_row

RESPAWN_S = 1.0
EXIT_MARGIN_S = 8.0
TOUCH_TYPES_S = 60.0
TICK_S = 0.2
MISSED_BEATS = 2

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class _Child:
    process: SpawnProcess
    orders: Connection
    incarnation: int


class Supervisor:
    """One worker, from its registration to its end. `stop` may be set from a signal handler; `hurry` ends the grace."""

    def __init__(self, settings: Settings, engine: Engine, plugins: Plugins) -> None:
        self._settings = settings
        self._engine = engine
        self._plugins = plugins
        self._worker_id: int | None = None
        self._children: list[_Child] = []
        self._incarnations = 0
        self._queues: list[str] = []
        self._beat_at = 0.0
        self._touched_at = 0.0
        self._spawn_at = 0.0
        self.stop = Event()
        self.hurry = Event()

    @property
    def is_ready(self) -> bool:
        """Registered, heard by the database lately, and with an executor at work."""
        is_fresh = time.monotonic() - self._beat_at < MISSED_BEATS * self._settings.worker.heartbeat_s
        return self._worker_id is not None and is_fresh and bool(self._children)

    def run(self) -> None:
        """Until `stop` is set; then drains within the grace. A database that is away is waited for."""
        while not self.stop.is_set():
            try:
                self._tick()
            except Exception as exc:
                if not is_database_away(exc):
                    raise
                log.warning("database.away", error=str(exc).splitlines()[0])
                self.stop.wait(1.0)
        self._drain()

    def _tick(self) -> None:
        if self._worker_id is None:
            self._register()
        if time.monotonic() - self._beat_at >= self._settings.worker.heartbeat_s:
            self._beat()
        self._bury_dead()
        self._spawn_missing()
        if self._children:
            wait([child.process.sentinel for child in self._children], timeout=TICK_S)
        else:
            self.stop.wait(TICK_S)

    def _register(self) -> None:
        self._execute(type_rows(self._plugins))
        settings = self._settings.worker
        slots = settings.processes * settings.threads
        (row,) = self._execute(worker_row(settings, self._plugins, slots=slots))
        self._worker_id = row.id
        self._beat_at = self._touched_at = time.monotonic()
        self._queues = self._wanted_queues()
        log.info("worker.registered", worker_id=row.id, types=sorted(self._plugins), queues=self._queues)

    def _beat(self) -> None:
        """Keep the lease. Where it was lost already, all that runs here is somebody else's: stop it, start anew."""
        if not self._execute(workers.heartbeat(), worker=self._worker_id):
            log.error("worker.declared_dead", worker_id=self._worker_id)
            self._kill(self._children)
            self._children = []
            self._worker_id = None
            return
        now = time.monotonic()
        self._beat_at = now
        if now - self._touched_at >= TOUCH_TYPES_S:
            self._execute(workers.touch_types(), types=list(self._plugins))
            self._touched_at = now
        found = self._wanted_queues()
        if found != self._queues:
            self._queues = found
            self._order(Serve(tuple(found)))

    def _wanted_queues(self) -> list[str]:
        """The queues set for this worker; where none are, every queue there is, and those of its types."""
        if self._settings.worker.queues:
            return list(self._settings.worker.queues)
        known = {row.name for row in self._execute(queue_queries.queue_names())}
        return sorted(known | {plugin.queue for plugin in self._plugins.values()})

    def _bury_dead(self) -> None:
        for child in [c for c in self._children if not c.process.is_alive()]:
            log.error("executor.died", exit_code=child.process.exitcode, incarnation=child.incarnation)
            self._rescue(child.incarnation)
            self._children.remove(child)
            child.orders.close()
            self._spawn_at = time.monotonic() + RESPAWN_S

    def _spawn_missing(self) -> None:
        if self._worker_id is None or time.monotonic() < self._spawn_at:
            return
        context = multiprocessing.get_context("spawn")
        while len(self._children) < self._settings.worker.processes:
            self._incarnations += 1
            theirs, ours = context.Pipe(duplex=False)
            process = context.Process(
                target=executor_process.main,
                args=(self._settings, self._worker_id, self._incarnations, theirs),
                name=f"executor-{self._incarnations}",
            )
            process.start()
            theirs.close()
            ours.send(Serve(tuple(self._queues)))
            self._children.append(_Child(process, ours, self._incarnations))

    def _drain(self) -> None:
        grace_s = self._settings.worker.grace_s
        log.info("worker.draining", worker_id=self._worker_id, grace_s=grace_s)
        self._order(Stop(grace_s))
        deadline = time.monotonic() + grace_s + EXIT_MARGIN_S
        while (alive := [c for c in self._children if c.process.is_alive()]) and time.monotonic() < deadline:
            if self.hurry.is_set():
                deadline = 0.0
            self._try_beat()
            wait([child.process.sentinel for child in alive], timeout=TICK_S)
        self._kill([c for c in self._children if c.process.is_alive()])
        self._retire()

    def _try_beat(self) -> None:
        if time.monotonic() - self._beat_at < self._settings.worker.heartbeat_s:
            return
        self._beat_at = time.monotonic()
        try:
            self._execute(workers.heartbeat(), worker=self._worker_id)
        except Exception as exc:  # draining goes on; the lease decides
            log.warning("heartbeat.failed", error=str(exc).splitlines()[0])

    def _retire(self) -> None:
        if self._worker_id is None:
            return
        try:
            for child in self._children:
                self._rescue(child.incarnation)
            self._execute(workers.retire_worker(), worker=self._worker_id)
            log.info("worker.stopped", worker_id=self._worker_id)
        except Exception as exc:  # the lease runs out by itself
            log.warning("worker.not_retired", worker_id=self._worker_id, error=str(exc).splitlines()[0])

    def _rescue(self, incarnation: int) -> None:
        rows = self._execute(leases.held_by_executor(), worker=self._worker_id, incarnation=incarnation)
        if rows:
            batch = [Finished(Lease(row.id, row.attempt, row.lease_token), row.type, lost(row.losses)) for row in rows]
            self._execute(settlements.settle(), rows=settlements.rows(batch), by=worker_actor(self._worker_id or 0))
            log.warning("tasks.rescued", count=len(rows), incarnation=incarnation)

    def _order(self, order: Serve | Stop) -> None:
        for child in self._children:
            try:
                child.orders.send(order)
            except OSError:
                continue  # it is dead, which the next tick sees

    def _kill(self, children: Sequence[_Child]) -> None:
        for child in children:
            child.process.kill()
        for child in children:
            child.process.join()

    def _execute(self, statement: Any, **parameters: Any) -> list[Any]:
        with self._engine.connect() as connection:
            result = connection.execute(statement, parameters)
            return list(result) if result.returns_rows else []
