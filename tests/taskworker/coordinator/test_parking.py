"""Tasks whose type no live worker of their queue knows: they delay no other task, and fail in the end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, async_engine
from taskcore.db.queues import loads, outbox, unserved
from taskcore.db.tasks import actions
from taskworker.coordinator.database import Database
from taskworker.coordinator.parking import Parking, ServedTypes
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


@dataclass
class Queue:
    """The queue `default`, as the relay treats it."""

    db: DatabaseHarness
    served: ServedTypes
    parking: Parking

    async def settle(self) -> None:
        """Run the relay until it has nothing to move."""
        (load,) = self.db.run(loads.queue_loads())
        while await self.parking.move(load, time.monotonic()):
            (load,) = self.db.run(loads.queue_loads())

    async def dispatch(self) -> list[int]:
        return self.db.dispatch(9, types=await self.served.of("default", since=time.monotonic()))


@pytest.fixture
async def queue(db: DatabaseHarness, database_url: str) -> AsyncIterator[Queue]:
    engine = async_engine(database_url, name="tests", pool_size=1, options=KEY_LOOKUP_OPTIONS)
    served = ServedTypes(Database(engine))
    yield Queue(db, served, Parking(Database(engine), served))
    await engine.dispose()


async def test_only_types_that_a_live_worker_of_the_queue_knows_are_dispatched(
    db: DatabaseHarness, queue: Queue
) -> None:
    db.register_worker(types=["noop"])
    db.register_worker(types=["rare"], queues=["elsewhere"])
    db.register_worker(types=["gone"], lease_s=-1)
    *_, known = db.submit(new_task(type="rare"), new_task(type="gone"), new_task(type="never"), new_task())

    assert await queue.dispatch() == [known]


async def test_unserved_tasks_are_parked_and_nothing_looks_at_them(db: DatabaseHarness, queue: Queue) -> None:
    db.register_worker()
    db.submit(new_task(type="rare"), new_task(type="rare"), new_task(type="never"))

    await queue.settle()

    (load,) = db.run(loads.queue_loads())
    assert (load.head_type, load.has_parked) == (None, True)
    assert {row.type: row.count for row in db.run(unserved.parked_counts())} == {"rare": 2, "never": 1}


async def test_parked_tasks_come_back_in_their_place_once_a_worker_knows_them(
    db: DatabaseHarness, queue: Queue
) -> None:
    db.register_worker()
    low, high, other = db.submit(new_task(type="rare"), new_task(type="rare", priority=5), new_task(type="never"))
    await queue.settle()
    (young,) = db.submit(new_task())
    db.register_worker(types=["rare"], queues=["elsewhere"])
    await queue.settle()
    assert await queue.dispatch() == [young]

    db.run(outbox.undispatch_all())
    db.register_worker(types=["rare", "noop"])
    await queue.settle()

    assert await queue.dispatch() == [high, low, young]
    assert [row.type for row in db.run(unserved.parked_counts())] == ["never"]
    assert db.status(other) == "queued"


async def test_a_parked_task_that_is_retried_is_dispatched_again(db: DatabaseHarness, queue: Queue) -> None:
    db.register_worker()
    (task_id,) = db.submit(new_task(type="rare"))
    await queue.settle()
    db.sql("UPDATE task SET status = 'failed' WHERE id = :id", id=task_id)

    assert db.apply_action(actions.retry(), task_id)

    assert db.dispatch(1, types=["rare"]) == [task_id]


@pytest.mark.parametrize("type_", ["gone", "never"])
def test_tasks_that_waited_too_long_for_a_worker_fail(db: DatabaseHarness, type_: str) -> None:
    db.register_type("gone")
    db.sql("UPDATE task_type SET seen_at = now() - interval '1 day'")
    db.register_worker()
    old, young, served = db.submit(new_task(type=type_), new_task(type=type_), new_task())
    db.sql("UPDATE outbox SET available_at = now() - interval '2 hours' WHERE task_id <> :id", id=young)

    assert db.fail_unknown_type(after_s=3_600) == [old]

    (task,) = db.sql("SELECT status, reason FROM task WHERE id = :id", id=old)
    assert tuple(task) == ("failed", "unknown_type")
    assert (db.status(young), db.status(served)) == ("queued", "queued")


def test_an_old_backlog_survives_a_short_time_without_workers(db: DatabaseHarness) -> None:
    db.register_type("noop")
    db.submit(new_task())
    db.sql("UPDATE outbox SET available_at = now() - interval '2 days'")

    assert db.fail_unknown_type(after_s=3_600) == []


def test_a_paused_queue_keeps_its_tasks_of_unknown_types(db: DatabaseHarness) -> None:
    db.submit(new_task(type="never"))
    db.sql("UPDATE outbox SET available_at = now() - interval '2 days'")
    db.sql("UPDATE queue SET paused_at = now()")

    assert db.fail_unknown_type(after_s=3_600) == []


async def test_a_parked_row_has_no_message_that_could_be_lost(db: DatabaseHarness, queue: Queue) -> None:
    db.register_worker()
    db.submit(new_task(type="rare"))
    await queue.settle()

    assert db.run(outbox.undispatch_lost(), of="default", ready=0, after_s=0.0) == []
