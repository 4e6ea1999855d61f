"""Gauges of PostgreSQL: what keeps it from removing dead rows, and how many there are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from prometheus_client import Metric
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db import monitoring
from taskworker.coordinator.database import Database
from taskworker.coordinator.polled_gauges import PolledGauges, labelled_gauge


class DatabaseCollector(PolledGauges):
    AGE_METRIC = "taskcore_database_statistics_age_seconds"

    def __init__(self, engine: AsyncEngine, loop: asyncio.AbstractEventLoop, cache_s: float = 30.0) -> None:
        super().__init__(engine, loop, cache_s)

    async def read(self, database: Database) -> Sequence[Metric]:
        snapshots = await database.execute(monitoring.oldest_snapshots())
        tables = await database.execute(monitoring.table_rows())
        known = [row for row in snapshots if row.seconds is not None or not row.transactions]  # others are hidden
        seconds = (([row.holder], row.seconds or 0.0) for row in known if row.holder != "slot")
        transactions = (([row.holder], float(row.transactions or 0)) for row in snapshots)
        rows = (([table.name, state], getattr(table, state)) for table in tables for state in ("live", "dead"))
        return [
            labelled_gauge(
                "taskcore_oldest_snapshot_seconds", "Age of the oldest transaction of a kind", ["holder"], seconds
            ),
            labelled_gauge(
                "taskcore_oldest_snapshot_transactions",
                "How many transactions the oldest snapshot of a kind is behind",
                ["holder"],
                transactions,
            ),
            labelled_gauge("taskcore_table_rows", "Rows of a table, as PostgreSQL estimates", ["table", "state"], rows),
        ]
