"""A worker inside this process: threads instead of executor processes, the same claim, run and settle."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Engine, delete

from taskcore.db import outbox, workers
from taskcore.db import queues as queue_queries
from taskcore.db.models import Worker
from taskcore.db.notify import SyncNotifier
from taskcore.executor import Executor
from taskcore.holding import Holding
from taskcore.messaging.brokers import MemoryBroker
from taskcore.messaging.serve import Service
from taskcore.plugins import Plugins
from taskcore.scribe import Scribe
from taskcore.settings import Settings
from taskcore.settler import Settler
from taskcore.task_services import WorkerServices
from taskworker.registration import type_rows, worker_row

NEW_QUEUES_EVERY_S = 1.0

log = structlog.stdlib.get_logger(__name__)


class InProcessWorker:
    """Registered before `start` returns, so that every type is known when the API opens."""

    def __init__(self, settings: Settings, engine: Engine, broker: MemoryBroker, plugins: Plugins) -> None:
        self._settings = settings
        self._engine = engine
        self._plugins = plugins
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_lease, name="heartbeat", daemon=True)
        self._scribe = Scribe(engine)
        self._executor = Executor(
            engine,
            plugins,
            settings,
            worker_id=0,
            incarnation=1,
            services=partial(WorkerServices, engine, self._scribe),
            flush=self._scribe.flush,
        )
        self._holding = Holding(threads=settings.worker.threads, look_ahead=settings.worker.look_ahead)
        settler = Settler(self._executor, self._holding, SyncNotifier(engine))
        self._service = Service(broker, self._holding, self._executor, settler)

    def start(self) -> None:
        # Whoever owns the data directory is alone: workers of before are dead, messages of before are gone, and
        # their tasks can go on now.
        self._execute(delete(Worker))
        self._execute(outbox.recall_all_messages())
        self._execute(type_rows(self._plugins))
        self._register()
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
        self._execute(workers.retire_worker(), worker=self._executor.worker_id)

    def _register(self) -> None:
        settings = self._settings.worker
        (row,) = self._execute(worker_row(settings, self._plugins, slots=settings.threads))
        self._executor.worker_id = row.id

    def _keep_lease(self) -> None:
        since_beat_s = self._settings.worker.heartbeat_s
        while not self._stopping.is_set():
            try:
                if since_beat_s >= self._settings.worker.heartbeat_s:
                    self._beat()
                    since_beat_s = 0.0
                known = {row.name for row in self._execute(queue_queries.queue_names())}
                self._service.serve(known | {plugin.queue for plugin in self._plugins.values()})
            except Exception as exc:  # the next round tries again
                log.warning("heartbeat.failed", error=str(exc).splitlines()[0])
            self._stopping.wait(NEW_QUEUES_EVERY_S)
            since_beat_s += NEW_QUEUES_EVERY_S

    def _beat(self) -> None:
        """A machine that slept longer than the lease finds its tasks returned: it goes on under a new id."""
        if not self._execute(workers.heartbeat(), worker=self._executor.worker_id):
            log.warning("worker.declared_dead", worker_id=self._executor.worker_id)
            self._register()

    def _execute(self, statement: Any, **parameters: Any) -> list[Any]:
        with self._engine.connect() as connection:
            result = connection.execute(statement, parameters)
            return list(result) if result.returns_rows else []
