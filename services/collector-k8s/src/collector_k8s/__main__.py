"""`collector-k8s`: the composition root."""

from __future__ import annotations

import signal
import sys
import threading

import click
from prometheus_client import REGISTRY

from collector_k8s.process import new_status, run
from taskcore.observability.exposition import build_registry
from taskcore.observability.health import HealthServer
from taskcore.observability.logging import set_log_level
from taskcore.observability.tracing.provider import Tracing
from taskcore.service_main import configure, log_level_option, run_program, version_option


@click.command()
@log_level_option
@version_option
def cli(log_level: str | None) -> None:
    """Collect the events of a Kubernetes cluster. Any number of copies is safe: one collects, the others stand by."""
    settings = configure(log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    tracing = Tracing.start(settings, "taskcore-collector-k8s").set_global()
    status = new_status(settings)
    health = HealthServer(settings.health, build_registry("collector-k8s", REGISTRY), status.is_ready, status.details)
    health.start()
    try:
        run(settings, stop, status, on_change=lambda changed: set_log_level(changed.log.level))
    finally:
        health.stop()
        tracing.stop()


def main() -> int:
    return run_program("collector-k8s", cli)


if __name__ == "__main__":
    sys.exit(main())
