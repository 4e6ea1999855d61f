"""The services of Taskcore composed in one process: API, coordinator, worker and collectors."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

from granian.server.embed import Server
from prometheus_client import REGISTRY
from sqlalchemy import Engine

from taskapi.app import create_app
from taskapi.health import health_server
from taskapi.runtime.services import Services
from taskapi.server import OwnListener, server_options
from taskcore.db.engine import KEY_LOOKUP_OPTIONS, sync_engine
from taskcore.db.queues import outbox
from taskcore.db.workers import leases
from taskcore.embedded_worker import EmbeddedWorker, drain, stop_signals
from taskcore.leasing.control_listener import ControlListener
from taskcore.live_settings import CurrentSettings
from taskcore.messaging.brokers import MemoryBroker
from taskcore.messaging.publisher import MemoryPublisher
from taskcore.observability.attempt_log import SuccessLog
from taskcore.observability.exposition import build_registry
from taskcore.observability.logging import is_console, set_log_level
from taskcore.observability.tracing.memory_store import InMemorySpanStore
from taskcore.observability.tracing.provider import Tracing
from taskcore.plugins import load_plugins
from taskcore.plugins.databases import check_roles
from taskcore.settings import Settings
from taskstandalone.collectors import run_collectors, validate_collectors
from taskstandalone.console import print_drain_hint, print_welcome
from taskworker.coordinator.backlog_metrics import BacklogCollector
from taskworker.coordinator.database_metrics import DatabaseCollector
from taskworker.coordinator.process import coordinate, coordinator_engine


async def serve(settings: Settings) -> None:
    """Run until a signal, or until the API or the coordinator ends. Then drain the worker."""
    url = settings.database_url.get_secret_value()
    await asyncio.to_thread(check_roles, settings)
    await asyncio.to_thread(validate_collectors, settings)
    broker = MemoryBroker()
    engine = sync_engine(url, name="standalone worker", pool_size=6, options=KEY_LOOKUP_OPTIONS)
    _release_former_workers(engine)
    span_store = None if settings.tracing.query_url else InMemorySpanStore()
    extra_processors = [span_store] if span_store else []
    tracing = Tracing.start(settings, "taskcore-standalone", extra_processors=extra_processors).set_global()

    def liveness_signals(worker_id: int, wake: Callable[[], None]) -> list[ControlListener]:
        return [ControlListener(url, worker_id, on_wake=wake)]  # no presence queue: there is no RabbitMQ

    observers = [SuccessLog()] if is_console(settings.log) else []  # answers the person at the terminal
    worker = EmbeddedWorker(settings, engine, broker, load_plugins(), liveness_signals, tracing, observers)
    coordinator_database = coordinator_engine(settings)
    event_loop = asyncio.get_running_loop()
    gauges = [kind(coordinator_database, event_loop) for kind in (BacklogCollector, DatabaseCollector)]
    registry = build_registry("standalone", REGISTRY, *gauges)
    health = partial(health_server, settings=settings, registry=registry)
    app = create_app(settings, tracing, span_store, lifespan=[health])
    services: Services = app.state.services
    server = Server(app, log_enabled=False, **server_options(settings.api))
    spawn = OwnListener(Server._spawn_asgi_lifespan_worker, settings.api.host, settings.api.port, is_nested=False)
    worker.start()
    current = CurrentSettings(settings)
    current.on_change(lambda: set_log_level(current.now.log.level))
    publisher = MemoryPublisher(broker)
    coordinator = asyncio.create_task(coordinate(current, coordinator_database, publisher, tracing=tracing))
    api = asyncio.create_task(server.serve(spawn))
    collectors = asyncio.create_task(run_collectors(current))
    signals = stop_signals()
    print_welcome(settings)
    signalled = asyncio.create_task(signals.get())
    await asyncio.wait([signalled, api, coordinator], return_when=asyncio.FIRST_COMPLETED)
    server.stop()  # type: ignore[no-untyped-call]
    services.completion_waiters.release_all()
    await api
    print_drain_hint(worker.held_count, settings.worker.grace_s)
    await drain(worker, settings.worker.grace_s, signals)
    for loop in (coordinator, collectors):
        loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loop
    engine.dispose()
    tracing.stop()


def _release_former_workers(engine: Engine) -> None:
    """Make the tasks of a former process available at once.

    The lock of the data directory proves that its workers are dead, and their messages were lost with its memory.
    """
    with engine.connect() as connection:
        connection.execute(leases.delete_all_workers())
        connection.execute(outbox.undispatch_all())
