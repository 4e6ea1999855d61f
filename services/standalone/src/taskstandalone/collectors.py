"""The collectors beside the rest: what they need while standalone runs. What measures is a task type like others."""

from __future__ import annotations

import asyncio

from collector_analytics.schedule import KeptSchedule
from collector_analytics.validation import check_operator_metrics
from taskcore.db.engine import async_engine
from taskcore.live_settings import CurrentSettings
from taskcore.settings import Settings
from taskstandalone.kubernetes_events import check_cluster, collect_cluster_events


def check_collectors(settings: Settings) -> None:
    """Raises `InvalidSettings`."""
    check_operator_metrics(settings)
    check_cluster(settings)


async def run_collectors(current: CurrentSettings) -> None:
    """Until cancelled. `current` is kept so by somebody else."""
    url = current.own.database_url.get_secret_value()
    engine = async_engine(url, name="standalone collectors", pool_size=1)
    try:
        async with asyncio.TaskGroup() as loops:
            loops.create_task(KeptSchedule(current, engine).run())
            loops.create_task(collect_cluster_events(current.own))
    finally:
        await engine.dispose()
