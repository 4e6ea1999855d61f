"""The gauges of the backlog, on a real database."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest
from prometheus_client import Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.metrics import parse_series
from harness.ports import free_port
from harness.postgres import execute_as
from taskcore.db.engine import async_engine
from taskcore.db.queues import queues, unserved
from taskcore.db.tasks import actions
from taskcore.observability.exposition import build_registry
from taskcore.observability.metrics import MAX_QUEUE_LABELS, BoundedLabels
from taskstandalone.postgres.roles import OWNER
from taskworker.coordinator.backlog_metrics import BacklogCollector
from taskworker.coordinator.database import Database
from taskworker.coordinator.polled_gauges import PolledGauges
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

AGE = "taskcore_backlog_age_seconds{}"


async def scrape(gauges: PolledGauges) -> dict[str, float]:
    return parse_series((await asyncio.to_thread(generate_latest, build_registry("coordinator", gauges))).decode())


async def eventually_read(gauges: BacklogCollector, name: str = "taskcore_workers_live{}") -> dict[str, float]:
    """Scrape until `name` is there: a short wait may be over before the first read is."""
    while name not in (seen := await scrape(gauges)):
        continue
    return seen


def fresh(engine: AsyncEngine) -> BacklogCollector:
    return BacklogCollector(engine, asyncio.get_running_loop(), cache_s=0, queue_labels=BoundedLabels(MAX_QUEUE_LABELS))


async def test_backlog_is_counted_by_queue_and_by_status(db: DatabaseHarness, engine: AsyncEngine) -> None:
    db.register_worker()
    old, *_ = db.submit(*[new_task(queue="mail") for _ in range(3)], new_task(queue="mail", priority=7))
    held, paused = db.submit(new_task(), new_task())
    db.claim([held])
    db.run(actions.pause(), task=paused, by="me", why="because")
    db.sql("UPDATE outbox SET available_at = now() - interval '1 hour' WHERE task_id = :id", id=old)

    seen = await scrape(fresh(engine))

    assert seen["taskcore_queue_depth{mail}"] == 4
    assert seen["taskcore_queue_depth{default}"] == 0
    assert 3_600 <= seen["taskcore_queue_oldest_age_seconds{mail}"] < 4_200
    assert seen["taskcore_queue_oldest_age_seconds{default}"] == 0
    assert (seen["taskcore_tasks{queued}"], seen["taskcore_tasks{running}"], seen["taskcore_tasks{paused}"]) == (
        4,
        1,
        1,
    )
    assert seen["taskcore_workers_live{}"] == 1


async def test_paused_queue_has_no_age_and_no_lag(db: DatabaseHarness, engine: AsyncEngine) -> None:
    db.register_worker()
    db.submit(new_task(queue="mail"))
    db.sql("UPDATE outbox SET available_at = now() - interval '1 hour'")
    db.sql("UPDATE queue SET paused_at = now() WHERE name = 'mail'")
    gauges = fresh(engine)

    await scrape(gauges)
    seen = await scrape(gauges)

    assert seen["taskcore_queue_depth{mail}"] == 1
    assert seen["taskcore_queue_oldest_age_seconds{mail}"] == 0
    assert seen["taskcore_outbox_lag_seconds{}"] == 0


async def test_message_that_a_worker_has_room_for_and_that_is_not_sent_is_lag(
    db: DatabaseHarness, engine: AsyncEngine
) -> None:
    db.submit(new_task())
    db.sql("UPDATE outbox SET available_at = now() - interval '1 hour'")
    gauges = fresh(engine)
    unserved = [await scrape(gauges), await scrape(gauges)]
    db.register_worker()
    first_seen = await scrape(gauges)

    still_there = await scrape(gauges)

    assert {seen["taskcore_outbox_lag_seconds{}"] for seen in (*unserved, first_seen)} == {0}
    assert 3_600 <= still_there["taskcore_outbox_lag_seconds{}"] < 4_200


async def test_relay_that_has_moved_on_has_no_lag(db: DatabaseHarness, engine: AsyncEngine) -> None:
    db.register_worker()
    ids = db.submit(*[new_task() for _ in range(2)])
    db.sql("UPDATE outbox SET available_at = now() - interval '1 hour'")
    gauges = fresh(engine)
    await scrape(gauges)
    db.sql("UPDATE outbox SET dispatched_at = now() WHERE task_id = :id", id=ids[0])

    seen = await scrape(gauges)

    assert seen["taskcore_outbox_lag_seconds{}"] == 0


async def test_delay_that_is_not_ended_is_lag(db: DatabaseHarness, engine: AsyncEngine) -> None:
    db.submit(new_task())
    db.sql("UPDATE outbox SET is_due = false, available_at = now() - interval '1 hour'")

    seen = await scrape(fresh(engine))

    assert 3_600 <= seen["taskcore_outbox_lag_seconds{}"] < 4_200


async def test_queues_beyond_the_limit_share_one_label(db: DatabaseHarness, engine: AsyncEngine) -> None:
    db.submit(*[new_task(queue=f"invented-{number:04}") for number in range(3 * MAX_QUEUE_LABELS)])

    seen = await scrape(fresh(engine))

    depths = {name: depth for name, depth in seen.items() if name.startswith("taskcore_queue_depth")}
    assert len(depths) <= MAX_QUEUE_LABELS + 1
    assert sum(depths.values()) == 3 * MAX_QUEUE_LABELS
    assert depths["taskcore_queue_depth{other}"] >= 2 * MAX_QUEUE_LABELS


async def test_gauges_are_cached(db: DatabaseHarness, engine: AsyncEngine) -> None:
    gauges = BacklogCollector(engine, asyncio.get_running_loop(), cache_s=3_600)
    before = await scrape(gauges)
    db.submit(new_task())

    after = await scrape(gauges)

    assert after.pop("taskcore_backlog_age_seconds{}") >= before.pop("taskcore_backlog_age_seconds{}")
    assert after == before


async def test_a_read_that_takes_long_leaves_the_last_values_with_their_age(
    db: DatabaseHarness, engine: AsyncEngine
) -> None:
    gauges = fresh(engine)
    gauges.wait_s = 0.1
    db.register_worker()
    before = await eventually_read(gauges)
    with db.transaction() as holder:
        holder.execute(text("LOCK TABLE worker"))
        during = await scrape(gauges)
        later = await scrape(gauges)
        db.submit(new_task(queue="mail"))

    await eventually_read(gauges, "taskcore_queue_depth{mail}")

    assert [seen["taskcore_workers_live{}"] for seen in (before, during, later)] == [1, 1, 1]
    assert before[AGE] < during[AGE] < later[AGE]


async def test_tasks_that_do_not_move_on_are_shown(db: DatabaseHarness, engine: AsyncEngine) -> None:
    db.register_worker()
    parent, bounded, unbounded, rare = db.submit(new_task(), new_task(timeout_s=9.0), new_task(), new_task(type="rare"))
    db.submit_with_parents(parent)
    db.claim([bounded, unbounded])
    db.run(unserved.park(), of="default", types=["noop"])
    db.run(queues.pause_queue(), of="default", why=None, by="me")
    hour = "interval '1 hour'"
    db.sql(f"UPDATE task SET started_at = started_at - {hour} * id, created_at = now() - {hour} WHERE id <> {rare}")
    db.sql(f"UPDATE queue SET paused_at = now() - {hour}")

    seen = await scrape(fresh(engine))

    assert seen["taskcore_unserved_tasks{rare}"] == 1
    assert seen["taskcore_queue_depth{default}"] == 1
    ages = {
        "taskcore_attempt_oldest_seconds{true,noop}": bounded * 3_600,
        "taskcore_attempt_oldest_seconds{false,noop}": unbounded * 3_600,
        "taskcore_blocked_oldest_seconds{}": 3_600,
        "taskcore_queue_paused_seconds{default}": 3_600,
    }
    assert {name: seen[name] for name in ages} == pytest.approx(ages, abs=600)


async def test_unavailable_database_removes_only_these_gauges() -> None:
    nobody = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    engine = async_engine(nobody, name="tests", pool_size=1)

    seen = await scrape(fresh(engine))

    assert [name.partition("{")[0] for name in seen] == ["taskcore_build_info"]


async def test_database_that_never_answers_does_not_block_the_page() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/nothing"
        engine = async_engine(url, name="tests", pool_size=1)

        seen = await scrape(fresh(engine))

    assert [name.partition("{")[0] for name in seen] == ["taskcore_build_info"]


async def test_old_gauges_are_not_served_when_the_database_fails(database_url: str, engine: AsyncEngine) -> None:
    gauges = fresh(engine)
    assert "taskcore_workers_live{}" in await scrape(gauges)
    execute_as(OWNER, database_url, "ALTER TABLE worker RENAME TO elsewhere")

    seen = await scrape(gauges)

    assert "taskcore_workers_live{}" not in seen


async def test_old_gauges_are_not_served_when_a_read_was_given_up(engine: AsyncEngine) -> None:
    gauges = GaugesOfSilentDatabase(engine, asyncio.get_running_loop(), cache_s=0)
    assert "answers{}" in await scrape(gauges)

    seen = await scrape(gauges)

    assert [name.partition("{")[0] for name in seen] == ["taskcore_build_info"]


class GaugesOfSilentDatabase(PolledGauges):
    """A database that answers once."""

    AGE_METRIC = "age"
    answers = 0

    async def read(self, database: Database) -> Sequence[Metric]:
        self.answers += 1
        if self.answers > 1:
            raise TimeoutError
        return [GaugeMetricFamily("answers", "", 1)]
