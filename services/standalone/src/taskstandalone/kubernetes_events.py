"""The collector of Kubernetes events in a thread, if a cluster is configured.

The Kubernetes client takes time and memory to import, so it is only imported if needed. For the same reason a default
kubeconfig, which many developers have, does not count as configured here.
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
    """Check the kubeconfig.

    Raises:
        InvalidSettings
    """
    if _may_be_configured(settings):
        from collector_k8s.cluster.kubeconfig import validate

        validate(settings.kubernetes)


async def collect_kubernetes_events(settings: Settings) -> None:
    """Collect until cancelled. Return at once if no cluster is configured."""
    if not _may_be_configured(settings):
        return
    from collector_k8s.cluster.kubeconfig import is_configured

    if is_configured(settings.kubernetes):
        stop = threading.Event()
        thread = asyncio.create_task(asyncio.to_thread(_collect, settings, stop))
        try:
            await asyncio.shield(thread)
        finally:
            stop.set()
            await thread


def _collect(settings: Settings, stop: threading.Event) -> None:
    from collector_k8s.process import run

    try:
        run(settings, stop)
    except TaskcoreError as exc:  # the other services continue
        log.error("collector.not_started", error=str(exc))
    except Exception:  # an unexpected error does not affect the other services either
        log.exception("collector.failed")


def _may_be_configured(settings: Settings) -> bool:
    """Return whether to import the Kubernetes client and look closer."""
    return settings.kubernetes.kubeconfig is not None or "KUBERNETES_SERVICE_HOST" in os.environ
