"""Running tasks are stopped by a cancel, a timeout, or the end of their worker, and leave nothing running."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.processes import Service, is_alive
from harness.waiting import eventually
from tests.system.conftest import MakeSystem
from tests.system.system import System

COMMANDS = {
    "stay": {"argv": ["sh", "-c", "echo $$; exec sleep 600"]},
    "resist": {"argv": ["sh", "-c", "trap '' TERM; echo $$; while :; do sleep 600; done"]},
}


@pytest.fixture(scope="module")
def system(make_system: MakeSystem, database_url: str) -> System:
    env = {
        "TASKCORE_COMMANDS": json.dumps(COMMANDS),
        "TASKCORE_DATABASES": json.dumps({"default": {"url": database_url}}),
        "TASKCORE_HTTP__ALLOWED_NETWORKS": '["127.0.0.0/8"]',
        "TASKCORE_HTTP__TIMEOUT_S": "600",
        "TASKCORE_WORKER__KILL_AFTER_S": "1",
    }
    system = make_system(env)
    system.start(coordinators=1)
    return system


@pytest.fixture
def worker(system: System) -> Iterator[Service]:
    with system.worker(processes=1, threads=8) as worker:
        yield worker


@pytest.fixture
def silent_url() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def pid_of(system: System, task_id: int) -> int:
    """Return the pid that the command reported."""
    lines = eventually(lambda: system.api.get(f"/tasks/{task_id}/logs").json()["items"])
    return int(lines[0]["message"])


def cancel(system: System, task_id: int) -> None:
    assert system.api.post(f"/tasks/{task_id}/cancel").status_code in (200, 202)


def has_query(system: System) -> bool:
    others = "state = 'active' AND pid <> pg_backend_pid()"
    return bool(system.sql(f"SELECT 1 FROM pg_stat_activity WHERE {others} AND query LIKE '%%SELECT pg_sleep(%%'"))


def test_running_tasks_of_each_kind_can_be_cancelled(system: System, worker: Service, silent_url: str) -> None:
    sleeping = system.submit("sleep", {"seconds": 600})
    querying = system.submit("run_query", {"query": "SELECT pg_sleep(600)"})
    asking = system.submit("http_request", {"url": silent_url})
    staying = system.submit("run_command", {"command": "stay"})
    resisting = system.submit("run_command", {"command": "resist"})
    task_ids = [sleeping, querying, asking, staying, resisting]
    pids = [pid_of(system, staying), pid_of(system, resisting)]
    eventually(lambda: has_query(system))
    system.wait_for(task_ids, "running")

    for task_id in task_ids:
        cancel(system, task_id)

    system.wait_for(task_ids, "cancelled")
    for task_id in task_ids:
        assert system.history(task_id) == ["queued", "running", "cancelling", "cancelled"]
        assert [attempt["outcome"] for attempt in system.attempts(task_id)] == ["cancelled"]
    eventually(lambda: not any(map(is_alive, pids)))
    eventually(lambda: not has_query(system))


def test_attempts_longer_than_their_timeout_time_out(system: System, worker: Service) -> None:
    overlong: list[tuple[str, dict[str, Any]]] = [
        ("sleep", {"seconds": 600}),
        ("run_query", {"query": "SELECT pg_sleep(600)"}),
        ("run_command", {"command": "resist"}),
    ]

    task_ids = [system.submit(*one, timeout=1, max_attempts=1) for one in overlong]

    system.wait_for(task_ids)
    for task_id in task_ids:
        task = system.task(task_id)
        assert (task["status"], task["reason"]) == ("failed", "timed_out")
        assert [attempt["outcome"] for attempt in system.attempts(task_id)] == ["timed_out"]


@pytest.mark.parametrize("kill", [Service.kill, Service.kill_session], ids=["supervisor", "all of the session"])
def test_no_process_outlives_a_killed_worker(system: System, kill: Callable[[Service], None]) -> None:
    with system.worker(processes=1, heartbeat_s=0.5, lease_s=3) as worker:
        task_id = system.submit("run_command", {"command": "resist"})
        pid = pid_of(system, task_id)

        kill(worker)

        eventually(lambda: not is_alive(pid))
    cancel(system, task_id)


def test_stopping_worker_releases_tasks_that_it_has_to_kill(system: System) -> None:
    with system.worker(processes=1, grace_s=0.5) as worker:
        task_id = system.submit("run_command", {"command": "resist"})
        pid = pid_of(system, task_id)

        assert worker.terminate() == 0

    task = system.task(task_id)
    assert (task["status"], task["failures"]) == ("queued", 0)
    assert not is_alive(pid)
    cancel(system, task_id)
