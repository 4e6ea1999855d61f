"""`taskcore-standalone`: API, coordinator, worker, PostgreSQL and a mailbox, composed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable
from functools import partial

from granian.constants import Interfaces
from granian.server.embed import Server
from prometheus_client import REGISTRY
from pydantic import SecretStr
from sqlalchemy import Engine, delete

from taskapi.app import create_app
from taskcore.db import migrations
from taskcore.db.engine import KEY_LOOKUP_OPTIONS, sync_engine
from taskcore.db.models import Worker
from taskcore.db.queues import outbox
from taskcore.embedded_worker import EmbeddedWorker, drain, stop_signals
from taskcore.errors import TaskcoreError
from taskcore.leasing.control_listener import ControlListener
from taskcore.live_settings import CurrentSettings
from taskcore.messaging.brokers import MemoryBroker
from taskcore.messaging.publisher import MemoryPublisher
from taskcore.observability.exposition import build_registry
from taskcore.observability.logging import configure_logging, set_log_level
from taskcore.observability.tracing.memory_store import InMemorySpanStore
from taskcore.observability.tracing.provider import Tracing
from taskcore.plugins import load_plugins
from taskcore.settings import DatabaseSettings, Settings, load_settings
from taskstandalone.collectors import run_collectors, validate_collectors
from taskstandalone.mailbox import run_mailbox
from taskstandalone.postgres.embedded_postgres import EmbeddedPostgres
from taskworker.coordinator.backlog_metrics import BacklogCollector
from taskworker.coordinator.process import coordinate, coordinator_engine


class PortInUse(TaskcoreError):
    """The port is taken."""


def main() -> int:
    try:
        settings = load_settings()
        configure_logging(settings.log)
        _require_port(settings)
        with EmbeddedPostgres(settings.data_dir) as postgres:
            migrations.upgrade(postgres.url)
            asyncio.run(_run(settings, postgres.url))
    except TaskcoreError as exc:
        print(f"taskcore-standalone: {exc}", file=sys.stderr)
        return 1
    return 0


async def _run(settings: Settings, database_url: str) -> None:
    """Serve with the embedded database and, where no other mail server is set, a mailbox."""
    databases = {"default": DatabaseSettings.model_validate({"url": database_url}), **settings.databases}
    links = settings.trace_url_template or f"{_address(settings)}/tasks/{{task_id}}/trace#{{trace_id}}"
    complete = settings.model_copy(
        update={"database_url": SecretStr(database_url), "databases": databases, "trace_url_template": links}
    )
    if "smtp" in settings.model_fields_set:
        await _serve(complete)
        return
    async with run_mailbox(settings.data_dir.resolve() / "mail") as smtp:
        await _serve(complete.model_copy(update={"smtp": smtp}))


async def _serve(settings: Settings) -> None:
    url = settings.database_url.get_secret_value()
    await asyncio.to_thread(validate_collectors, settings)
    broker = MemoryBroker()
    engine = sync_engine(url, name="standalone worker", pool_size=6, options=KEY_LOOKUP_OPTIONS)
    _forget_workers_of_before(engine)
    local = None if settings.tracing.query_url else InMemorySpanStore()
    tracing = Tracing.start(settings, "taskcore-standalone", extra_processors=[local] if local else []).set_global()
    worker = EmbeddedWorker(settings, engine, broker, load_plugins(), partial(_one_witness, url), tracing)
    coordinating = coordinator_engine(settings)
    backlog = BacklogCollector(coordinating, asyncio.get_running_loop())
    app = create_app(settings, tracing, build_registry("standalone", REGISTRY, backlog), local)
    server = Server(
        app,
        address=settings.api.host,
        port=settings.api.port,
        interface=Interfaces.ASGI,
        log_enabled=False,
    )
    worker.start()
    current = CurrentSettings(settings)
    current.on_change(lambda: set_log_level(current.now.log.level))
    publisher = MemoryPublisher(broker)
    coordinator = asyncio.create_task(coordinate(current, coordinating, publisher, tracing=tracing))
    api = asyncio.create_task(server.serve())
    collectors = asyncio.create_task(run_collectors(current))
    signals = stop_signals()
    _announce(settings)
    told = asyncio.create_task(signals.get())
    await asyncio.wait([told, api, coordinator], return_when=asyncio.FIRST_COMPLETED)
    server.stop()  # type: ignore[no-untyped-call]
    app.state.services.finishes.release_all()
    await api
    _say_how_to_hurry(worker, settings.worker.grace_s)
    await drain(worker, settings.worker.grace_s, signals)
    for loop in (coordinator, collectors):
        loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loop
    engine.dispose()
    tracing.stop()


def _forget_workers_of_before(engine: Engine) -> None:
    """Who owns the data directory is alone: they are dead, their messages are gone, and their tasks can go on now."""
    with engine.connect() as connection:
        connection.execute(delete(Worker))
        connection.execute(outbox.undispatch_all())


def _one_witness(url: str, worker_id: int, wake: Callable[[], None]) -> list[ControlListener]:
    return [ControlListener(url, worker_id, on_wake=wake)]


def _say_how_to_hurry(worker: EmbeddedWorker, grace_s: float) -> None:
    if worker.held_count:
        print(
            f"Waiting up to {grace_s:g} s for {worker.held_count} running tasks; Ctrl-C again to give them back",
            flush=True,
        )


def _require_port(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.api.host, settings.api.port))
        except OSError as exc:
            raise PortInUse(
                f"cannot listen on {settings.api.host}:{settings.api.port} ({exc.strerror}); choose another port: "
                "`make run PORT=8081`, or TASKCORE_API__PORT"
            ) from exc


def _announce(settings: Settings) -> None:
    address = _address(settings)
    data_dir = settings.data_dir.resolve()
    print(
        f"\nTaskcore is at {address}\n"
        f"  try         .venv/bin/task-cli --address {address} task create hello --type noop --wait\n"
        f"  contract    {address}/openapi.json\n"
        f"  data        {data_dir}   (mail that tasks sent: {data_dir / 'mail'})\n"
        "  stop        Ctrl-C\n",
        flush=True,
    )


def _address(settings: Settings) -> str:
    """From this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.api.host, settings.api.host)
    return f"http://{host}:{settings.api.port}"


if __name__ == "__main__":
    logging.captureWarnings(True)
    sys.exit(main())
