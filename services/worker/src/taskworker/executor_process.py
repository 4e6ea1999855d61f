"""One executor process: it claims, runs plugins and settles, and does what its supervisor says over a pipe.

It ends when told to, and at once when the pipe breaks: without its supervisor nobody keeps its lease.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

from taskcore.db.notify import SyncNotifier
from taskcore.db.session import BY_KEY, sync_engine
from taskcore.executor import Executor
from taskcore.holding import Holding
from taskcore.messaging.brokers import RabbitBroker
from taskcore.messaging.serve import Service
from taskcore.plugins import load_plugins
from taskcore.scribe import Scribe
from taskcore.settings import Settings
from taskcore.settler import Settler
from taskcore.task_services import WorkerServices
from taskcore.telemetry import configure_logging


@dataclass(frozen=True, slots=True)
class Serve:
    """Consume from these queues too."""

    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish within `grace_s`; a second one hastens it."""

    grace_s: float


def main(settings: Settings, worker_id: int, incarnation: int, orders: Connection) -> None:
    """The process's composition root."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the supervisor's to handle
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    configure_logging(settings.log)
    engine = sync_engine(
        settings.database_url.get_secret_value(), name=f"taskworker {worker_id}", pool_size=5, options=BY_KEY
    )
    scribe = Scribe(engine)
    executor = Executor(
        engine,
        load_plugins(),
        settings,
        worker_id=worker_id,
        incarnation=incarnation,
        services=partial(WorkerServices, engine, scribe),
        flush=scribe.flush,
    )
    holding = Holding(threads=settings.worker.threads, look_ahead=settings.worker.look_ahead)
    broker = RabbitBroker(settings, prefetch=holding.threads + holding.look_ahead)
    service = Service(broker, holding, executor, Settler(executor, holding, SyncNotifier(engine)))
    scribe.start()
    service.start()
    _obey(service, orders)
    os._exit(0)  # threads that would not end must not keep the process


def _obey(service: Service, orders: Connection) -> None:
    stopping: threading.Thread | None = None
    while stopping is None or stopping.is_alive():
        try:
            if not orders.poll(0.1 if stopping else None):
                continue
            order = orders.recv()
        except (EOFError, OSError):
            os._exit(1)
        match order:
            case Serve(queues=queues):
                service.serve(queues)
            case Stop(grace_s=grace_s):
                if stopping is not None:
                    os._exit(1)
                stopping = threading.Thread(target=service.stop, args=(grace_s,), daemon=True)
                stopping.start()
