"""Queues that nothing needs are deleted from the broker and from the database."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.queues import lifecycle, queues
from taskcore.live_settings import CurrentSettings
from taskcore.messaging.brokers import MemoryBroker
from taskcore.messaging.publisher import MemoryPublisher
from taskcore.settings import QueueSettings, Settings
from taskworker.coordinator.database import Database
from taskworker.coordinator.queue_retention import QueueRetention
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

DAY_S = 86_400


class Publisher(MemoryPublisher):
    """A broker where the queues `consumed` have a consumer."""

    def __init__(self) -> None:
        super().__init__(MemoryBroker())
        self.consumed: set[str] = set()

    async def delete_queue(self, queue: str) -> bool:
        return queue not in self.consumed and await super().delete_queue(queue)


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def retention(engine: AsyncEngine, publisher: Publisher) -> QueueRetention:
    settings = Settings(queues=QueueSettings(delete_unused_after_s=DAY_S))
    return QueueRetention(Database(engine), publisher, CurrentSettings(settings), marked_s=0)


def add_queue(db: DatabaseHarness, name: str, *, unused_s: float) -> None:
    db.sql("INSERT INTO queue (name, used_at) VALUES (:name, now() - :s * interval '1 second')", name=name, s=unused_s)


def names(db: DatabaseHarness) -> list[str]:
    return [row.name for row in db.sql("SELECT name FROM queue ORDER BY name")]


async def test_queue_that_was_not_used_for_long_is_deleted(db: DatabaseHarness, retention: QueueRetention) -> None:
    add_queue(db, "new", unused_s=DAY_S - 60)
    add_queue(db, "old", unused_s=DAY_S + 60)

    await retention.step()

    assert names(db) == ["new"]


async def test_queue_that_is_needed_is_kept(db: DatabaseHarness, retention: QueueRetention) -> None:
    for name in ("tasks", "blocked", "running", "paused", "consumed", "default"):
        add_queue(db, name, unused_s=2 * DAY_S)
    (parent, running) = db.submit(new_task(queue="tasks"), new_task(queue="running"))
    db.submit_with_parents(parent, queue="blocked")
    db.claim([running])
    db.run(queues.pause_queue(), of="paused", why=None, by="me")
    db.register_type("noop")
    db.register_worker(queues=["consumed"])
    db.sql("UPDATE queue SET used_at = now() - interval '2 days'")

    await retention.step()

    assert names(db) == ["blocked", "consumed", "default", "paused", "running", "tasks"]
    assert not db.run(lifecycle.mark_unused(), after_s=DAY_S)  # each is looked at once a day


async def test_many_unused_queues_are_deleted_a_few_at_a_time(db: DatabaseHarness, retention: QueueRetention) -> None:
    for number in range(lifecycle.EXAMINED + 1):
        add_queue(db, f"old-{number}", unused_s=2 * DAY_S - number)

    await retention.step()
    assert names(db) == [f"old-{lifecycle.EXAMINED}"]

    await retention.step()
    assert names(db) == []


async def test_queue_that_is_still_consumed_is_deleted_later(
    db: DatabaseHarness, retention: QueueRetention, publisher: Publisher
) -> None:
    add_queue(db, "old", unused_s=2 * DAY_S)
    publisher.consumed.add("old")
    await retention.step()
    assert names(db) == ["old"]
    assert db.run(queues.queue_names()) == []  # no worker consumes it any more

    publisher.consumed.clear()
    await retention.step()

    assert names(db) == []


async def test_queue_that_is_named_again_before_it_is_deleted_stays(
    db: DatabaseHarness, retention: QueueRetention, publisher: Publisher
) -> None:
    add_queue(db, "old", unused_s=2 * DAY_S)
    publisher.consumed.add("old")
    await retention.step()

    db.submit(new_task(queue="old"))
    publisher.consumed.clear()
    await retention.step()

    assert [row.name for row in db.run(queues.queue_names())] == ["old"]


async def test_queue_of_a_task_that_was_submitted_during_its_deletion_is_restored(
    db: DatabaseHarness, retention: QueueRetention
) -> None:
    db.submit(new_task(queue="one"), new_task(queue="two"))
    db.sql("DELETE FROM queue WHERE name = 'one'")
    db.sql("UPDATE queue SET deleted_at = now() + interval '1 hour' WHERE name = 'two'")

    await retention.step()

    assert [row.name for row in db.run(queues.queue_names())] == ["one", "two"]


async def test_queues_are_kept_for_ever_without_a_limit(
    db: DatabaseHarness, engine: AsyncEngine, publisher: Publisher
) -> None:
    settings = CurrentSettings(Settings(queues=QueueSettings(delete_unused_after_s=None)))
    add_queue(db, "old", unused_s=1_000 * DAY_S)

    await QueueRetention(Database(engine), publisher, settings, marked_s=0).step()

    assert names(db) == ["old"]


def test_use_of_a_queue_is_recorded_no_more_than_once_a_minute(db: DatabaseHarness) -> None:
    add_queue(db, "old", unused_s=DAY_S)
    add_queue(db, "new", unused_s=30)
    before = dict(db.sql("SELECT name, used_at FROM queue"))

    db.run(lifecycle.record_use(), names=["new", "old"], interval_s=60)

    after = dict(db.sql("SELECT name, used_at FROM queue"))
    assert after["new"] == before["new"]
    assert after["old"] > before["old"]


@pytest.mark.parametrize("name", ["amq.x", "worker.1", "", "no spaces", "n\n", "x" * 256])
def test_table_takes_no_reserved_or_invalid_name(db: DatabaseHarness, name: str) -> None:
    with pytest.raises(IntegrityError, match="queue_name_check"):
        add_queue(db, name, unused_s=0)
