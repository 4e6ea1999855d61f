"""The loops of both collectors. The collection of metrics itself is a task, which the worker runs."""

from __future__ import annotations

import asyncio

from collector_analytics.schedule import ScheduleReconciler
from collector_analytics.validation import validate_configured_metrics
from taskcore.db.engine import async_engine
from taskcore.live_settings import CurrentSettings
from taskcore.settings import Settings
from taskstandalone.kubernetes_events import collect_kubernetes_events, validate_cluster


def validate_collectors(settings: Settings) -> None:
    """Check the settings of both collectors.

    Raises:
        InvalidSettings
    """
    validate_configured_metrics(settings)
    validate_cluster(settings)


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
