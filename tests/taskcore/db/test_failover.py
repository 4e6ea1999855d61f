"""A standby that answers, and one that takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from harness.memory import memory_directory
from harness.postgres_cluster import PostgresCluster
from harness.reaper import Reaper
from harness.waiting import eventually
from taskcore.db import migrations
from taskcore.db.engine import sync_engine
from taskcore.db.notify import OUTBOX, Listener
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


@pytest.fixture
def primary(reaper: Reaper) -> Iterator[PostgresCluster]:
    with TemporaryDirectory(prefix="taskcore-test-", dir=memory_directory()) as directory:
        reaper.watch_directory(Path(directory))
        cluster = PostgresCluster(Path(directory), reaper)
        cluster.start()
        yield cluster
        cluster.stop("immediate")


@pytest.fixture
def standby(primary: PostgresCluster, reaper: Reaper) -> Iterator[PostgresCluster]:
    with TemporaryDirectory(prefix="taskcore-test-", dir=memory_directory()) as directory:
        reaper.watch_directory(Path(directory))
        cluster = primary.create_standby(Path(directory))
        yield cluster
        cluster.stop("immediate")


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

    (line,) = lines
    assert (line["event"], line["channel"]) == ("listener.lost", OUTBOX)
    assert "recovery" in line["error"]
