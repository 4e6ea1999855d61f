"""The analytics collector as a process, next to the others."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from harness.processes import Service
from harness.waiting import eventually
from tests.system.conftest import MakeSystem
from tests.system.system import System

#: Measuring takes until this lock is given back.
LOCK = 77
HELD = f"SELECT count(pg_advisory_xact_lock_shared({LOCK}))"

SAMPLED = """
    SELECT DISTINCT bucket FROM analytics_sample JOIN analytics_series ON id = series_id WHERE metric = %s ORDER BY 1
"""


@pytest.fixture(scope="module")
def system(make_system: MakeSystem, database_url: str) -> System:
    """Return a system whose collector has one configured metric, which the test can block."""
    system = make_system(
        {
            "TASKCORE_DATABASES": json.dumps({"own": {"url": database_url}}),
            "TASKCORE_ANALYTICS__QUERIES": json.dumps({"held": {"database": "own", "sql": HELD}}),
        }
    )
    system.start(coordinators=1)
    return system


@pytest.fixture(scope="module")
def collector(system: System) -> Service:
    return system.start_analytics()


def buckets(system: System, metric: str) -> list[Any]:
    return [row["bucket"] for row in system.sql(SAMPLED, metric)]


@contextmanager
def blocked_measurement(system: System) -> Iterator[dict[str, Any]]:
    """Yield the id of the measuring task and the pid of its process. The task ends after the block."""
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
    running = "SELECT task.id, pid FROM task JOIN worker ON worker.id = worker_id WHERE status = 'running'"
    with psycopg.connect(system.database_url, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        eventually(lambda: system.sql(waiting, LOCK), description="a measurement that is held up")
        (task,) = system.sql(running)
        yield task


def test_measures_at_start_and_then_at_the_interval_of_the_live_setting(system: System, collector: Service) -> None:
    first = eventually(lambda: buckets(system, "held"), description="a first sample")

    changed = system.api.put("/settings/analytics.interval_s", json={"value": 1})

    assert changed.status_code == 200, changed.text
    assert len(first) == 1
    eventually(lambda: len(buckets(system, "held")) > 3, description="more of them")
    eventually(lambda: system.sql("SELECT 1 FROM analytics_metric WHERE name = 'submitted'"))
    (schedule,) = system.sql("SELECT every_s, managed_by FROM schedule WHERE name = 'taskcore.analytics'")
    assert schedule == {"every_s": 1, "managed_by": "collector-analytics"}


def test_takes_no_tasks_of_other_queues(system: System, collector: Service) -> None:
    system.sql(
        "INSERT INTO task_type (name, description, queue, schema, max_attempts, retry)"
        " VALUES ('noop', '', 'default', '{}', 4, '{}') ON CONFLICT DO NOTHING"
    )
    task_id = system.submit("noop")

    seen = len(buckets(system, "held"))
    eventually(lambda: len(buckets(system, "held")) > seen + 1, description="other work being done")

    assert system.task(task_id)["status"] == "queued"
    assert system.sql("SELECT queues FROM worker") == [{"queues": ["analytics"]}]


def test_shutdown_lets_a_measurement_finish(system: System, collector: Service) -> None:
    with blocked_measurement(system) as task:
        os.kill(collector.pid, signal.SIGTERM)
        eventually(lambda: "worker.draining" in collector.log)

    code = collector.wait()

    assert code == 0
    assert (system.task(task["id"])["status"], system.task(task["id"])["attempt"]) == ("succeeded", 1)
    assert system.sql("SELECT 1 FROM worker") == []


def test_another_copy_takes_over_from_a_killed_one(system: System) -> None:
    copies = [system.start_analytics(ready=False) for _ in range(2)]
    for copy in copies:
        copy.wait_until_ready()

    with blocked_measurement(system) as task:
        (measuring,) = (copy for copy in copies if copy.pid == task["pid"])
        measuring.kill()
        eventually(lambda: system.task(task["id"])["attempt"] == 2, description="another copy starting it again")

    eventually(lambda: [one["outcome"] for one in system.attempts(task["id"])] == ["lost", "succeeded"])


def test_query_that_returns_text_is_rejected_at_start(system: System) -> None:
    queries = {"held": {"database": "own", "sql": "SELECT name FROM task"}}

    refused = system.start_analytics(ready=False, TASKCORE_ANALYTICS__QUERIES=json.dumps(queries))

    assert refused.wait() == 2
    assert "collector-analytics: TASKCORE_ANALYTICS__QUERIES__HELD__SQL: the query's column 'name'" in refused.log
