"""`taskapi`: the API as a process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from functools import partial
from multiprocessing import set_start_method
from types import FrameType

import click
import structlog
from granian.constants import Loops
from granian.log import LogLevels
from litestar import Litestar
from prometheus_client import REGISTRY

from taskapi.app import create_app
from taskapi.health import health_server
from taskapi.runtime.services import Services
from taskapi.server import DRAIN_SIGNAL, DrainingServer, OwnListener, require_free_ports, server_options
from taskcore.observability.exposition import MultiprocessMetrics, build_registry
from taskcore.observability.logging import configure_logging, set_log_level
from taskcore.observability.multiprocess_metrics import (
    DIRECTORY_VARIABLE,
    MetricFiles,
    metrics_directory,
    preallocate_files,
)
from taskcore.observability.tracing.provider import Tracing
from taskcore.service_main import configure, run_program, version_option
from taskcore.settings import ApiSettings, load_settings

log = structlog.stdlib.get_logger(__name__)


@click.command()
@version_option
def run() -> None:
    """Serve the HTTP API until SIGTERM or SIGINT. Whatever can be chosen is a setting."""
    settings = configure()
    require_free_ports(settings)
    log.info("api.starting", address=settings.api.host, port=settings.api.port)
    if settings.api.processes == 1:
        _run_server(settings.api)
        return
    set_start_method("spawn")  # a fork would inherit the metrics that were imported here
    with metrics_directory("taskapi"):
        _run_server(settings.api)


def _run_server(settings: ApiSettings) -> None:
    DrainingServer(
        "taskapi.__main__:serve",
        drain_s=settings.drain_s,
        factory=True,
        workers=settings.processes,
        loop=Loops.uvloop,
        log_level=LogLevels.warning,
        log_dictconfig={"handlers": {}, "formatters": {}, "loggers": {"_granian": {"propagate": True}}},
        **server_options(settings),
    ).serve(OwnListener(DrainingServer._spawn_asgi_lifespan_worker, settings.host, settings.port))


def serve() -> Litestar:
    """Return the application of one server process. Granian calls this in each of them."""
    settings = load_settings()
    configure_logging(settings.log)
    preallocate_files()
    tracing = Tracing.start(settings, "taskcore-api").set_global()
    directory = os.environ.get(DIRECTORY_VARIABLE)
    registry = build_registry("api", MultiprocessMetrics(MetricFiles(directory)) if directory else REGISTRY)
    is_shared = settings.api.processes > 1
    health = partial(health_server, settings=settings, registry=registry, is_shared=is_shared)
    app = create_app(settings, tracing, lifespan=[health])
    app.on_shutdown.append(tracing.stop)
    current = app.state.services.settings
    current.on_change(lambda: set_log_level(current.now.log.level))
    app.on_startup.append(_release_waiters_on_signals)
    return app


async def _release_waiters_on_signals(app: Litestar) -> None:
    """Release waiting requests when the process is asked to stop: Granian waits for all of them before it stops.

    These handlers do not replace Granian's, which uvloop calls through the signal wakeup file descriptor.
    """
    services: Services = app.state.services
    loop = asyncio.get_running_loop()

    def release(_signal: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(services.completion_waiters.release_all)

    def drain(_signal: int, _frame: FrameType | None) -> None:
        services.draining.set()

    signal.signal(DRAIN_SIGNAL, drain)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, release)


def main() -> int:
    return run_program("taskapi", run)


if __name__ == "__main__":
    sys.exit(main())
