"""`taskapi`: the API as a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from multiprocessing import set_start_method
from types import FrameType

import structlog
from granian.constants import Interfaces, Loops
from granian.log import LogLevels
from litestar import Litestar

from taskapi.app import create_app
from taskapi.runtime.services import Services
from taskapi.server import DRAIN_SIGNAL, DrainingServer
from taskcore.errors import InvalidSettings
from taskcore.observability.exposition import MultiprocessMetrics, build_registry
from taskcore.observability.logging import configure_logging, set_log_level
from taskcore.observability.multiprocess_metrics import (
    DIRECTORY_VARIABLE,
    MetricFiles,
    metrics_directory,
    preallocate_files,
)
from taskcore.observability.tracing.provider import Tracing
from taskcore.settings import ApiSettings, load_settings

log = structlog.stdlib.get_logger(__name__)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    try:
        settings = load_settings()
    except InvalidSettings as exc:
        sys.exit(f"taskapi: {exc}")
    configure_logging(settings.log)
    _refuse_taken_port(settings.api)
    log.info("api.starting", address=settings.api.host, port=settings.api.port)
    if settings.api.processes == 1:
        _serve_all(settings.api)
        return
    set_start_method("spawn")  # what was imported here counts in this process alone
    with metrics_directory("taskapi"):
        _serve_all(settings.api)


def _serve_all(settings: ApiSettings) -> None:
    DrainingServer(
        "taskapi.__main__:serve",
        drain_s=settings.drain_s,
        factory=True,
        interface=Interfaces.ASGI,
        address=settings.host,
        port=settings.port,
        workers=settings.processes,
        loop=Loops.uvloop,
        log_level=LogLevels.warning,
        log_dictconfig={"handlers": {}, "formatters": {}, "loggers": {"_granian": {"propagate": True}}},
    ).serve()


def serve() -> Litestar:
    """The application of one of Granian's processes, each of which reads the settings and logs for itself."""
    settings = load_settings()
    configure_logging(settings.log)
    preallocate_files()
    tracing = Tracing.start(settings, "taskcore-api").set_global()
    directory = os.environ.get(DIRECTORY_VARIABLE)
    registry = build_registry("api", MultiprocessMetrics(MetricFiles(directory))) if directory else None
    app = create_app(settings, tracing, registry)
    app.on_shutdown.append(tracing.stop)
    current = app.state.services.settings
    current.on_change(lambda: set_log_level(current.now.log.level))
    app.on_startup.append(_release_waiters_on_signals)
    return app


def _refuse_taken_port(settings: ApiSettings) -> None:
    """Granian's sockets share a port with anybody's: two APIs of two databases would take turns answering."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as exc:
        sys.exit(f"taskapi: cannot listen on {settings.host}, port {settings.port}: {exc.strerror}")


async def _release_waiters_on_signals(app: Litestar) -> None:
    """Answer those who wait as soon as the process is told to stop: Granian stops only when all are answered.

    Granian hears signals through the event loop, that is through a file descriptor, which stays as it is.
    """
    services: Services = app.state.services
    loop = asyncio.get_running_loop()

    def let_go(_signal: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(services.completion_waiters.release_all)

    def drain(_signal: int, _frame: FrameType | None) -> None:
        services.draining.set()

    signal.signal(DRAIN_SIGNAL, drain)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, let_go)


if __name__ == "__main__":
    main()
