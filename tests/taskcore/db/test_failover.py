"""A standby that answers, and one that takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from harness.postgres_cluster import PostgresCluster, running_cluster
from harness.reaper import Reaper
from harness.waiting import eventually
from taskcore.db import migrations
from taskcore.db.engine import sync_engine
from taskcore.db.notify import OUTBOX, Listener
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


@pytest.fixture
def primary(reaper: Reaper) -> Iterator[PostgresCluster]:
    with running_cluster(reaper) as cluster:
        yield cluster


@pytest.fixture
def standby(primary: PostgresCluster) -> PostgresCluster:
    return primary.create_standby()


def test_work_goes_on_with_the_standby_that_took_over(primary: PostgresCluster, standby: PostgresCluster) -> None:
    url = f"postgresql://taskcore@{standby.address},{primary.address}/taskcore"
    migrations.upgrade(url)
    engine = sync_engine(url, name="tests", pool_size=2)
    db = DatabaseHarness(engine)
    (task_id,) = db.submit(new_task())

    primary.kill()
    with pytest.raises(DBAPIError):
        db.sql("SELECT 1")
    standby.promote()

    (other_id,) = db.submit(new_task())
    assert [row.id for row in db.sql("SELECT id FROM task ORDER BY id")] == [task_id, other_id]
    engine.dispose()


def test_a_listener_that_a_standby_refused_listens_once_it_is_promoted(
    primary: PostgresCluster, standby: PostgresCluster
) -> None:
    async def scenario() -> None:
        woken = asyncio.Event()
        listening = asyncio.create_task(Listener(standby.url, OUTBOX, name="tests", on_wake=woken.set).run())
        await asyncio.to_thread(eventually, lambda: lines)
        await asyncio.to_thread(standby.promote)

        async with asyncio.timeout(60):
            await woken.wait()
            woken.clear()
            await asyncio.to_thread(standby.execute, f"NOTIFY {OUTBOX}")
            await woken.wait()
        listening.cancel()

    with capture_logs() as lines:
        asyncio.run(scenario())

    assert (lines[0]["event"], lines[0]["channel"]) == ("listener.unavailable", OUTBOX)
    assert "recovery" in lines[0]["error"]
