"""The gauges of PostgreSQL itself, on a real server."""

from __future__ import annotations

import asyncio

from prometheus_client import generate_latest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.metrics import parse_series
from harness.postgres import as_role
from taskcore.db.engine import async_engine
from taskcore.observability.exposition import build_registry
from taskstandalone.postgres.roles import OWNER
from taskworker.coordinator.database_metrics import DatabaseCollector
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


async def scrape(engine: AsyncEngine) -> dict[str, float]:
    gauges = DatabaseCollector(engine, asyncio.get_running_loop())
    return parse_series((await asyncio.to_thread(generate_latest, build_registry("coordinator", gauges))).decode())


async def test_the_oldest_snapshot_is_that_of_an_open_transaction(db: DatabaseHarness, engine: AsyncEngine) -> None:
    with db.engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader, reader.begin():
        reader.execute(text("SELECT 1"))
        for _ in range(3):
            db.submit(new_task())

        seen = await scrape(engine)

    assert seen["taskcore_oldest_snapshot_transactions{session}"] >= 3
    assert 0 < seen["taskcore_oldest_snapshot_seconds{session}"] < 600
    assert seen["taskcore_oldest_snapshot_transactions{prepared}"] == 0
    assert seen["taskcore_oldest_snapshot_transactions{slot}"] == 0


async def test_dead_rows_are_shown_by_table(db: DatabaseHarness, engine: AsyncEngine) -> None:
    db.submit(*[new_task() for _ in range(5)])
    db.sql("DELETE FROM outbox")
    db.sql("SELECT pg_stat_force_next_flush()")

    seen = await scrape(engine)

    assert seen["taskcore_table_rows{dead,outbox}"] == 5
    assert seen["taskcore_table_rows{live,task}"] == 5


async def test_a_role_without_privileges_sees_transactions_but_no_seconds(
    db: DatabaseHarness, database_url: str
) -> None:
    engine = async_engine(as_role(OWNER, database_url), name="tests", pool_size=1)
    with db.engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader, reader.begin():
        reader.execute(text("SELECT 1"))
        db.submit(new_task())

        seen = await scrape(engine)

    assert seen["taskcore_oldest_snapshot_transactions{session}"] >= 1
    assert "taskcore_oldest_snapshot_seconds{session}" not in seen
    await engine.dispose()
