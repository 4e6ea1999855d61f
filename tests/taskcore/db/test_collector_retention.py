"""Retention of what collectors store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from taskcore.db import collector_retention
from taskcore.db.engine import KEY_LOOKUP_OPTIONS, async_engine
from taskcore.live_settings import CurrentSettings
from taskcore.settings import RetentionSettings, Settings
from taskworker.coordinator.collector_retention import CollectorRetention, plan_limits
from taskworker.coordinator.database import Database
from taskworker.coordinator.retention import Retention
from tests.taskcore.db.db_harness import DatabaseHarness

HOUR = 3600.0
DAY = 24 * HOUR

Keep = Callable[..., Awaitable[None]]


@pytest.fixture
async def keep(database_url: str) -> AsyncIterator[Keep]:
    """Yield a function that deletes what these settings do not keep."""
    engine = async_engine(database_url, name="tests", pool_size=1, options=KEY_LOOKUP_OPTIONS)

    async def run(**retention: Any) -> None:
        one = CollectorRetention(Database(engine))
        while await one.step(Settings(retention=RetentionSettings(**retention))):
            continue

    yield run
    await engine.dispose()


def add_samples(db: DatabaseHarness, *ages_s: float) -> None:
    db.sql("INSERT INTO analytics_series (metric, labels) VALUES ('tasks', '{}')")
    for age_s in ages_s:
        db.sql(
            "INSERT INTO analytics_sample SELECT id, now() - :age * interval '1 second', 1 FROM analytics_series",
            age=age_s,
        )


def add_event(db: DatabaseHarness, name: str, age_s: float, version: int = 1) -> None:
    db.sql(
        "INSERT INTO k8s_event (cluster, uid, resource_version, is_current, namespace, kind, name, reason, type,"
        " message, component, count, first_at, at, collected_at) SELECT 'c', :name, :version, false, 'n', 'Pod', :name,"
        " 'Failed', 'Warning', '', '', 1, at, at, at FROM (SELECT now() - :age * interval '1 second' AS at) AS moment",
        name=name,
        version=str(version),
        age=age_s,
    )


def add_gap(db: DatabaseHarness, age_s: float) -> None:
    db.sql(
        "INSERT INTO k8s_gap (cluster, namespace, kind, from_at, until_at)"
        " SELECT 'c', '', 'lost', at, at FROM (SELECT now() - :age * interval '1 second' AS at) AS moment",
        age=age_s,
    )


def add_alert(db: DatabaseHarness, name: str, resolved_ago_s: float | None) -> None:
    db.sql(
        "INSERT INTO alert (rule, cluster, namespace, kind, name, reason, type, message, count, first_at, last_at,"
        " resolved_at) VALUES ('r', 'c', 'n', 'Pod', :name, 'Failed', 'Warning', '', 1, 'epoch', 'epoch',"
        " now() - cast(:age AS float) * interval '1 second')",
        name=name,
        age=resolved_ago_s,
    )


def names(db: DatabaseHarness, table: str) -> list[str]:
    return sorted(row.name for row in db.sql(f"SELECT name FROM {table}"))


def count(db: DatabaseHarness, table: str) -> int:
    return int(db.sql(f"SELECT count(*) FROM {table}")[0][0])


async def test_old_samples_are_deleted_and_their_series_stay(db: DatabaseHarness, keep: Keep) -> None:
    add_samples(db, 0, DAY - HOUR, DAY + HOUR, 30 * DAY)
    db.sql("INSERT INTO submitter_day VALUES ('2020-01-01', 'user:ann')")

    await keep(analytics_s=DAY)

    assert [count(db, f"analytics_{kind}") for kind in ("sample", "series")] == [2, 1]
    assert count(db, "submitter_day") == 1


async def test_old_events_and_gaps_are_deleted(db: DatabaseHarness, keep: Keep) -> None:
    for version, (name, age_s) in enumerate([("old", 3 * DAY), ("both", 2 * DAY), ("both", HOUR), ("young", 0)]):
        add_event(db, name, age_s, version)
    for age_s in (DAY + HOUR, HOUR):
        add_gap(db, age_s)

    await keep(events_s=DAY)

    assert names(db, "k8s_event") == ["both", "young"]
    assert count(db, "k8s_gap") == 1


async def test_an_event_that_its_cluster_may_still_list_is_kept(db: DatabaseHarness, keep: Keep) -> None:
    for name, age_s in (("gone there too", HOUR + 60), ("still there", HOUR - 60)):
        add_event(db, name, age_s)

    await keep(events_s=60)

    assert names(db, "k8s_event") == ["still there"]


async def test_resolved_alerts_are_deleted_later_and_open_ones_are_kept(db: DatabaseHarness, keep: Keep) -> None:
    for name, age_s in (("open", None), ("resolved", HOUR), ("long ago", 2 * DAY)):
        add_alert(db, name, age_s)

    await keep(alerts_s=DAY)

    assert names(db, "alert") == ["open", "resolved"]


async def test_the_coordinator_applies_a_limit_that_changes_while_it_runs(
    db: DatabaseHarness, database_url: str
) -> None:
    add_samples(db, HOUR, 2 * DAY)
    engine = async_engine(database_url, name="tests", pool_size=1, options=KEY_LOOKUP_OPTIONS)
    current = CurrentSettings(Settings())
    one = Retention(Database(engine), current)
    await one.step()
    assert count(db, "analytics_sample") == 2

    current.apply_overrides({"retention.analytics_s": DAY})
    await one.step()

    assert count(db, "analytics_sample") == 1
    await engine.dispose()


async def test_data_without_a_limit_is_kept_forever(db: DatabaseHarness, keep: Keep) -> None:
    add_samples(db, 1000 * DAY)
    add_event(db, "old", 1000 * DAY)
    add_alert(db, "old", 1000 * DAY)

    await keep(succeeded_s=60)

    assert [count(db, table) for table in ("analytics_sample", "k8s_event", "alert")] == [1, 1, 1]
    assert list(plan_limits(Settings())) == []


def test_concurrent_batches_delete_each_row_once(db: DatabaseHarness) -> None:
    many = 2 * collector_retention.BATCH + 10
    add_samples(db)
    db.sql(
        "INSERT INTO analytics_sample SELECT id, now() - n * interval '1 day', 1"
        " FROM analytics_series, generate_series(2, :last) n",
        last=many + 1,
    )

    def forget(_: int) -> int:
        return int(db.run(collector_retention.delete_old_samples(), after_s=DAY)[0][0])

    with ThreadPoolExecutor(4) as pool:
        deleted = list(pool.map(forget, range(8)))

    assert max(deleted) == collector_retention.BATCH
    assert sum(deleted) + count(db, "analytics_sample") == many
    while forget(0):
        continue
    assert count(db, "analytics_sample") == 0
