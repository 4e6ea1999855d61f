"""The collector of Kubernetes events, in a thread, where standalone was told of a cluster.

The Kubernetes client takes its time and memory to load: whoever has no cluster is spared that. For the same reason a
kubeconfig that merely lies about on a developer's machine is left alone here.
"""

from __future__ import annotations

import asyncio
import os
import threading

import structlog

from taskcore.errors import TaskcoreError
from taskcore.settings import Settings

log = structlog.stdlib.get_logger(__name__)


def validate_cluster(settings: Settings) -> None:
    """Raises `InvalidSettings`."""
    if _may_be_meant(settings):
        from collector_k8s.cluster.kubeconfig import validate

        validate(settings.kubernetes)


async def collect_kubernetes_events(settings: Settings) -> None:
    """Until cancelled, or at once done where no cluster is meant."""
    if not _may_be_meant(settings):
        return
    from collector_k8s.cluster.kubeconfig import is_configured

    if is_configured(settings.kubernetes):
        stop = threading.Event()
        work = asyncio.create_task(asyncio.to_thread(_collect, settings, stop))
        try:
            await asyncio.shield(work)
        finally:
            stop.set()
            await work


def _collect(settings: Settings, stop: threading.Event) -> None:
    from collector_k8s.process import run

    try:
        run(settings, stop)
    except TaskcoreError as exc:  # the rest of Taskcore is unharmed
        log.error("collector.not_started", error=str(exc))
    except Exception:  # it was not foreseen, and the rest is unharmed all the same
        log.exception("collector.failed")


def _may_be_meant(settings: Settings) -> bool:
    return settings.kubernetes.kubeconfig is not None or "KUBERNETES_SERVICE_HOST" in os.environ
