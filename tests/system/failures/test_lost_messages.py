"""Messages lost by the broker are sent again: no task is lost with its message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness.rabbitmq.management import VirtualHost
from harness.waiting import eventually
from taskcore.db.engine import sync_engine
from taskcore.db.workers import workers
from tests.system.conftest import MakeSystem
from tests.system.system import System

SENT = "SELECT count(*) FROM outbox WHERE dispatched_at IS NOT NULL"


@pytest.fixture(scope="module")
def system(make_system: MakeSystem) -> System:
    system = make_system({"TASKCORE_COORDINATOR__RESEND_AFTER_S": "3"})
    system.start(coordinators=2)
    system.register_types()
    return system


@contextmanager
def idle_worker(system: System, *, slots: int) -> Iterator[None]:
    """Register a worker that looks alive but consumes nothing, so that the relay fills the broker's queue."""
    engine = sync_engine(system.database_url, name="test", pool_size=1)
    row = workers.register_worker(host="nowhere", pid=1, slots=slots, queues=[], types=["noop"], lease_s=600)
    with engine.connect() as connection:
        (worker,) = connection.execute(row)
        yield
        connection.execute(workers.deregister_worker(), {"worker": worker.id})
    engine.dispose()


def test_tasks_run_after_their_queue_was_purged(system: System, virtual_host: VirtualHost) -> None:
    with idle_worker(system, slots=250):
        task_ids = system.submit_many(500, "noop")
        eventually(lambda: system.scalar(SENT) == 500)
        eventually(lambda: virtual_host.depth("default") == 500)
        virtual_host.purge("default")
        assert virtual_host.depth("default") == 0

    with system.worker(processes=1):
        system.wait_for(task_ids)

    system.assert_each_ran_once(task_ids)


def test_tasks_run_after_half_of_the_messages_were_lost(system: System, virtual_host: VirtualHost) -> None:
    with idle_worker(system, slots=100):
        lost = system.submit_many(100, "noop")
        eventually(lambda: virtual_host.depth("default") == 100)
        virtual_host.purge("default")
        kept = system.submit_many(100, "noop")
        eventually(lambda: system.scalar(SENT) == 200)

    with system.worker(processes=1):
        system.wait_for([*lost, *kept])

    system.assert_each_ran_once([*lost, *kept])


def test_tasks_run_after_queues_with_consumers_were_deleted(system: System, virtual_host: VirtualHost) -> None:
    with system.worker(processes=1) as worker:
        task_ids = system.submit_many(300, "sleep", {"seconds": 0.1})
        system.wait_for(task_ids[:20])

        virtual_host.delete("default")
        after = system.submit_many(20, "noop", queue="another")
        system.wait_for(task_ids + after)

        assert worker.is_running
    system.assert_each_ran_once(task_ids + after)


def test_tasks_run_after_all_broker_connections_were_closed(system: System, virtual_host: VirtualHost) -> None:
    with system.worker(processes=1):
        task_ids = system.submit_many(300, "sleep", {"seconds": 0.1})
        system.wait_for(task_ids[:20])

        virtual_host.close_connections()
        system.wait_for(task_ids)

    system.assert_each_ran_once(task_ids)
