"""Run tasks (`run`), and coordinate the workers (`coordinate`)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time

import click
import structlog
from prometheus_client import PROCESS_COLLECTOR, REGISTRY

from taskcore.db.engine import sync_engine
from taskcore.leasing.lease_manager import LeaseManager
from taskcore.leasing.liveness import LivenessSignals, signal_factory
from taskcore.live_settings import CurrentSettings
from taskcore.messaging.publisher import RabbitPublisher
from taskcore.observability.exposition import MultiprocessMetrics, SummedCollector, build_registry
from taskcore.observability.health import HealthServer
from taskcore.observability.logging import set_log_level
from taskcore.observability.multiprocess_metrics import metrics_directory, periodic_sweep
from taskcore.observability.tracing.provider import Tracing
from taskcore.plugins import load_plugins
from taskcore.plugins.databases import check_roles
from taskcore.service_main import configure, log_level_option, run_program, version_option
from taskcore.settings import Settings
from taskworker.coordinator.backlog_metrics import BacklogCollector
from taskworker.coordinator.database_metrics import DatabaseCollector
from taskworker.coordinator.process import coordinate, coordinator_engine
from taskworker.supervisor.executor_pool import ExecutorPool
from taskworker.supervisor.supervisor import Supervisor

#: How long executors wait before they reconnect to the broker.
RECONNECT_MS = "500"

log = structlog.stdlib.get_logger(__name__)


@click.group(help=__doc__)
@version_option
def cli() -> None:
    pass


@cli.command()
@log_level_option
def run(log_level: str | None) -> None:
    """Run tasks in executor processes, watched by a supervisor."""
    settings = configure(log_level)
    check_roles(settings)
    os.environ.setdefault("dramatiq_restart_delay", RECONNECT_MS)  # read by Dramatiq when the executors import it
    supervisor = _build_supervisor(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: (supervisor.force_stop if supervisor.stop.is_set() else supervisor.stop).set())
    REGISTRY.unregister(PROCESS_COLLECTOR)  # the shared metrics include what each process uses
    with metrics_directory("taskworker") as directory, periodic_sweep(directory) as files:
        health = HealthServer(
            settings.health,
            build_registry("worker", SummedCollector(MultiprocessMetrics(files), REGISTRY)),
            lambda: supervisor.is_ready,
        )
        health.start()
        try:
            supervisor.run()
        except Exception:
            # An interpreter waits for its child processes before it exits, and these for their supervisor, while the
            # lease manager's thread goes on renewing the lease. Without the supervisor, they exit at once.
            log.exception("supervisor.failed")
            os._exit(1)
        health.stop()


def _build_supervisor(settings: Settings) -> Supervisor:
    url = settings.database_url.get_secret_value()
    engine = sync_engine(url, name="taskworker run", pool_size=1, pooler=settings.database_pooler)
    executors = ExecutorPool(settings)
    slots = settings.worker.processes * settings.worker.threads
    lease = LeaseManager(settings, engine, load_plugins(), executors.reports, slots=slots)
    liveness = LivenessSignals(signal_factory(settings), lease.wake, settings.worker.heartbeat_s)
    return Supervisor(settings, lease, executors, liveness)


@cli.command(name="coordinate")
@log_level_option
def coordinate_command(log_level: str | None) -> None:
    """Move tasks: outbox, delays, dependencies, schedules, rescue, retention. Any number of copies is safe."""
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_coordinate(configure(log_level)))


async def _coordinate(settings: Settings) -> None:
    engine = coordinator_engine(settings)
    liveness = Liveness()
    gauges = [kind(engine, asyncio.get_running_loop()) for kind in (BacklogCollector, DatabaseCollector)]
    health = HealthServer(settings.health, build_registry("coordinator", REGISTRY, *gauges), liveness.is_live)
    health.start()
    tracing = Tracing.start(settings, "taskcore-coordinator").set_global()
    current = CurrentSettings(settings)
    current.on_change(lambda: set_log_level(current.now.log.level))
    publisher = RabbitPublisher(settings)
    work = asyncio.ensure_future(coordinate(current, engine, publisher, on_round=liveness.record, tracing=tracing))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    try:
        await work
    finally:
        health.stop()
        await engine.dispose()
        tracing.stop()


class Liveness:
    """Ready while the relay completes its rounds."""

    def __init__(self) -> None:
        self._at = 0.0

    def record(self) -> None:
        self._at = time.monotonic()

    def is_live(self) -> bool:
        return time.monotonic() - self._at < 15


def main() -> int:
    return run_program("taskworker", cli)


if __name__ == "__main__":
    sys.exit(main())
