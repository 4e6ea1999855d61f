"""A worker inside this process: threads instead of executor processes, the same lease, claim, run and settle."""

from __future__ import annotations

import queue
import threading
import time
from functools import partial
from typing import Any

from sqlalchemy import Engine, delete

from taskcore.db import outbox
from taskcore.db.models import Worker
from taskcore.db.notify import SyncNotifier
from taskcore.executor import Executor
from taskcore.holding import Holding
from taskcore.interruption import Cause
from taskcore.messaging.brokers import MemoryBroker
from taskcore.messaging.serve import Service
from taskcore.plugins import Plugins
from taskcore.scribe import Scribe
from taskcore.settings import Settings
from taskcore.settler import Settler
from taskcore.task_services import WorkerServices
from taskworker.astray import Held
from taskworker.ears import Ears
from taskworker.lease import LeaseKeeper, Wishes

INCARNATION = 1
REGISTERED_WITHIN_S = 60.0

POLL_S = 0.5


class InProcessWorker:
    """Registered before `start` returns, so that every type is known when the API opens."""

    def __init__(self, settings: Settings, engine: Engine, broker: MemoryBroker, plugins: Plugins) -> None:
        self._settings = settings
        self._engine = engine
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._obey, name="obey", daemon=True)
        self._scribe = Scribe(engine)
        self._executor = Executor(
            engine,
            plugins,
            settings,
            worker_id=0,
            incarnation=INCARNATION,
            services=partial(WorkerServices, engine, self._scribe),
            flush=self._scribe.flush,
        )
        self._holding = Holding(threads=settings.worker.threads, look_ahead=settings.worker.look_ahead)
        settler = Settler(self._executor, self._holding, SyncNotifier(engine))
        self._service = Service(broker, self._holding, self._executor, settler)
        self._lease = LeaseKeeper(settings, engine, plugins, self._held, slots=settings.worker.threads)
        self._ears: Ears | None = None

    def start(self) -> None:
        # Whoever owns the data directory is alone: workers of before are dead, messages of before are gone, and
        # their tasks can go on now.
        self._execute(delete(Worker))
        self._execute(outbox.recall_all_messages())
        self._lease.start()
        self._follow(self._lease.wishes.get(timeout=REGISTERED_WITHIN_S))
        self._scribe.start()
        self._service.start()
        self._thread.start()

    @property
    def held(self) -> int:
        """How many tasks run, or are about to."""
        return len(self._holding.held())

    def stop(self, grace_s: float) -> None:
        self._service.stop(grace_s)
        self._retire()

    def abandon(self) -> None:
        """Give back what runs, now; its threads end with the process."""
        self._executor.close()
        self._executor.give_back(self._holding.close() + self._holding.held())
        self._retire()

    def _retire(self) -> None:
        self._stopping.set()
        self._scribe.stop()
        self._thread.join()
        if self._ears is not None:
            self._ears.stop()
        self._lease.retire(self._settings.worker.lease_s)

    def _held(self) -> list[Held]:
        attempts = frozenset((one.lease.task_id, one.lease.attempt) for one in self._holding.held())
        return [Held(INCARNATION, time.monotonic(), attempts)]

    def _obey(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow(self._lease.wishes.get(timeout=POLL_S))
            except queue.Empty:
                continue

    def _follow(self, wishes: Wishes) -> None:
        """A machine that slept longer than the lease finds its tasks returned: it goes on under a new id."""
        if wishes.worker_id != self._executor.worker_id:
            self._executor.worker_id = wishes.worker_id
            self._listen(wishes.worker_id)
        for row in wishes.cancel:
            self._service.interrupt(row.id, row.attempt, Cause.CANCEL)
        for row in wishes.pause:
            self._service.request_pause(row.id, row.attempt)
        for _, (task_id, attempt) in wishes.drop:
            self._service.interrupt(task_id, attempt, Cause.FENCE)
        self._service.serve(wishes.queues)

    def _listen(self, worker_id: int) -> None:
        if self._ears is not None:
            self._ears.stop()
        self._ears = Ears(self._settings.database_url.get_secret_value(), worker_id, on_wake=self._lease.wake)
        self._ears.start()

    def _execute(self, statement: Any) -> None:
        with self._engine.connect() as connection:
            connection.execute(statement)
