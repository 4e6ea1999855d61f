"""`collector-k8s`: the composition root."""

from __future__ import annotations

import signal
import sys
import threading

import click
from prometheus_client import REGISTRY

from collector_k8s.process import new_status, run
from taskcore.errors import TaskcoreError
from taskcore.observability.exposition import build_registry
from taskcore.observability.health import HealthServer
from taskcore.observability.logging import configure_logging, set_log_level
from taskcore.observability.tracing.provider import Tracing
from taskcore.settings import load_settings


@click.command()
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="TASKCORE_LOG__LEVEL")
def cli(log_level: str | None) -> None:
    """Collect the events of a Kubernetes cluster. Any number of copies is safe: one collects, the others stand by."""
    settings = load_settings()
    if log_level is not None:
        settings = settings.model_copy(update={"log": settings.log.model_copy(update={"level": log_level})})
    configure_logging(settings.log)
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
    try:
        cli(prog_name="collector-k8s")
    except TaskcoreError as exc:
        print(f"collector-k8s: {exc}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
