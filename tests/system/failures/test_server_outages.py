"""The broker or the database is down for a while: no task is lost, nothing hangs, no process needs a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx
import pytest

from harness.memory import memory_directory
from harness.postgres import PostgresServer, running_postgres
from harness.processes import Services
from harness.rabbitmq.broker import SMALL_WAL, RabbitMQ, running_rabbitmq
from harness.reaper import Reaper
from harness.waiting import eventually
from taskcore.db import migrations
from tests.system.system import System

LEASE_S = 10


@pytest.fixture(scope="module")
def postgres(reaper: Reaper) -> Iterator[PostgresServer]:
    """Yield a database that the test can stop."""
    with running_postgres(reaper, {}, memory_directory()) as server:
        migrations.upgrade(server.url)
        yield server


@pytest.fixture(scope="module")
def rabbitmq(reaper: Reaper) -> Iterator[RabbitMQ]:
    """Yield a broker that the test can stop."""
    with running_rabbitmq(reaper, SMALL_WAL, memory_directory()) as broker:
        yield broker


@pytest.fixture(scope="module")
def system(services: Services, postgres: PostgresServer, rabbitmq: RabbitMQ) -> Iterator[System]:
    env = {
        "TASKCORE_COORDINATOR__RESEND_AFTER_S": "3",
        "TASKCORE_WORKER__PROCESSES": "1",
        "TASKCORE_WORKER__HEARTBEAT_S": "1",
        "TASKCORE_WORKER__LEASE_S": str(LEASE_S),
    }
    system = System(services, postgres.url, rabbitmq.amqp_url, env)
    system.start(coordinators=2, workers=2)
    yield system
    system.close()


@pytest.fixture(autouse=True)
def no_process_ends(system: System, services: Services) -> Iterator[None]:
    yield
    assert all(service.is_running for service in services.started)


@contextmanager
def stopped(postgres: PostgresServer, mode: Literal["fast", "immediate"]) -> Iterator[None]:
    postgres.stop(mode)
    try:
        yield
    finally:
        postgres.start()


def test_tasks_are_accepted_while_the_broker_is_down_and_run_afterwards(
    system: System, rabbitmq: RabbitMQ, gate: Path
) -> None:
    running = system.submit_many(4, "gated", {"gate": str(gate)})
    system.wait_for(running, "running")

    rabbitmq.stop()
    meanwhile = [system.submit("noop") for _ in range(10)] + system.submit_many(500, "noop")
    gate.touch()
    system.wait_for(running)  # running tasks need no broker to finish
    assert system.sql("SELECT DISTINCT status FROM task WHERE id = ANY(%s)", meanwhile) == [{"status": "queued"}]
    rabbitmq.start()

    system.wait_for(meanwhile)
    system.assert_each_ran_once([*running, *meanwhile])


def test_broker_that_stops_during_work_loses_no_task(system: System, rabbitmq: RabbitMQ) -> None:
    task_ids = system.submit_many(500, "sleep", {"seconds": 0.05})
    system.wait_for(task_ids[:20])

    rabbitmq.stop()
    rabbitmq.start()

    system.wait_for(task_ids)
    system.assert_each_ran_once(task_ids)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_work_continues_when_the_database_is_back(
    system: System, postgres: PostgresServer, gate: Path, mode: Literal["fast", "immediate"]
) -> None:
    running = system.submit_many(4, "gated", {"gate": str(gate)})
    system.wait_for(running, "running")
    waiting = system.submit_many(100, "sleep", {"seconds": 0.05})

    with stopped(postgres, mode):
        gate.touch()  # they end while no result can be stored
        ready = httpx.get(f"{system.api_health_url}/readyz", trust_env=False, timeout=60)
        refused = system.api.post("/tasks", json={"name": "too early", "type": "noop"})
        assert (ready.status_code, refused.status_code) == (503, 503)
        assert refused.json()["code"] == "database_unavailable"
        assert int(refused.headers["Retry-After"]) > 0

    eventually(lambda: httpx.get(f"{system.api_health_url}/readyz", trust_env=False, timeout=60).is_success)
    after = system.submit("noop")
    system.wait_for([*running, *waiting, after])
    system.assert_each_ran_once([*running, *waiting, after])


def test_result_from_an_outage_longer_than_the_lease_counts(
    system: System, postgres: PostgresServer, gate: Path
) -> None:
    running = system.submit_many(4, "gated", {"gate": str(gate)})
    system.wait_for(running, "running")

    with stopped(postgres, "fast"):
        gate.touch()
        time.sleep(LEASE_S + 1)  # nothing signals that a lease has expired

    system.wait_for(running)
    system.assert_each_ran_once(running)


def test_no_task_is_lost_when_both_servers_stop_at_once(
    system: System, postgres: PostgresServer, rabbitmq: RabbitMQ
) -> None:
    task_ids = system.submit_many(2_000, "noop")
    system.wait_for(task_ids[:100])

    with stopped(postgres, "immediate"):
        rabbitmq.stop()
        rabbitmq.start()

    system.wait_for(task_ids)
    assert system.scalar("SELECT count(*) FROM task WHERE status <> 'succeeded'") == 0
