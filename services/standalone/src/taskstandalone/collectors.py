"""The loops of both collectors. The collection of metrics itself is a task, which the worker runs.

The Kubernetes client takes time and memory to import, so it is only imported if a cluster is configured. For the same
reason a default kubeconfig, which many developers have, does not count as configured here.
"""

from __future__ import annotations

import asyncio
import os
import threading

import structlog

from collector_analytics.schedule import ScheduleReconciler
from collector_analytics.validation import validate_configured_metrics
from taskcore.db.engine import async_engine
from taskcore.errors import TaskcoreError
from taskcore.live_settings import CurrentSettings
from taskcore.settings import Settings

log = structlog.stdlib.get_logger(__name__)


def validate_collectors(settings: Settings) -> None:
    """Check the configured metrics and the kubeconfig. Raises `InvalidSettings`."""
    validate_configured_metrics(settings)
    if _may_have_cluster(settings):
        from collector_k8s.cluster.kubeconfig import validate

        validate(settings.kubernetes)


async def run_collectors(current: CurrentSettings) -> None:
    """Run until cancelled. The caller keeps `current` up to date."""
    url = current.base.database_url.get_secret_value()
    engine = async_engine(url, name="standalone collectors", pool_size=1)
    try:
        async with asyncio.TaskGroup() as loops:
            loops.create_task(ScheduleReconciler(current, engine).run())
            loops.create_task(collect_kubernetes_events(current.base))
    finally:
        await engine.dispose()


async def collect_kubernetes_events(settings: Settings) -> None:
    """Collect until cancelled. Return at once if no cluster is configured."""
    if not _may_have_cluster(settings):
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


def _may_have_cluster(settings: Settings) -> bool:
    """Return whether to import the Kubernetes client and look closer."""
    return settings.kubernetes.kubeconfig is not None or "KUBERNETES_SERVICE_HOST" in os.environ
