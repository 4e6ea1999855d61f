"""The process `taskapi`, started like an operator does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import psutil
import pytest

from harness.processes import Service, Services
from harness.waiting import eventually
from tests.taskapi.api_helpers import Database, task_body
from tests.taskapi.conftest import ANYTHING, register_type


@pytest.fixture
def server(services: Services, database_url: str) -> Service:
    register_type(database_url, "noop", ANYTHING)
    return services.start("taskapi", env={"TASKCORE_DATABASE_URL": database_url})


@pytest.fixture
def http(server: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.url}/api/v1", trust_env=False, timeout=90) as client:
        yield client


def test_it_listens_on_the_loopback_interface_only(server: Service) -> None:
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]

    listening = {c.laddr.ip for p in processes for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN}

    assert listening == {"127.0.0.1"}


def test_a_body_that_is_not_read_ends_its_connection(http: httpx.Client) -> None:
    """The server says so, and the client sends its next request over another one."""
    large = json.dumps(task_body(parameters={str(n): "x" * 60_000 for n in range(35)}))

    refused = [
        http.post(path, content=large, headers={"Content-Type": content_type})
        for path, content_type in [
            ("/tasks", "application/json"),
            ("/tasks", "text/plain"),
            ("/tasks?unknown=1", "application/json"),
            ("/nowhere", "application/json"),
            ("/workers", "application/json"),
        ]
    ]

    assert [response.status_code for response in refused] == [413, 415, 422, 404, 405]
    assert {response.headers["Connection"] for response in refused} == {"close"}
    assert http.post("/tasks", json=task_body()).status_code == 201


def test_waiting_requests_return_when_the_process_is_asked_to_stop(
    server: Service, http: httpx.Client, database: Database
) -> None:
    task_id = http.post("/tasks", json=task_body()).json()["id"]
    answers: list[httpx.Response] = []
    waiting = threading.Thread(
        target=lambda: answers.append(http.get(f"/tasks/{task_id}/wait", params={"timeout": 60}))
    )
    waiting.start()
    listening = (
        "SELECT 1 FROM pg_stat_activity WHERE query = 'LISTEN taskcore_settled' AND datname = current_database()"
    )
    eventually(lambda: database.execute(listening).fetchall())

    code = server.terminate(timeout_s=30)
    waiting.join()

    assert code == 0
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "queued")]


def test_it_drains_before_it_stops(services: Services, database_url: str) -> None:
    register_type(database_url, "noop", ANYTHING)
    env = {"TASKCORE_DATABASE_URL": database_url, "TASKCORE_API__DRAIN_S": "3600"}
    server = services.start("taskapi", env=env)

    os.kill(server.pid, signal.SIGTERM)
    eventually(lambda: not server.is_ready)

    with httpx.Client(base_url=server.url, trust_env=False, timeout=90) as http:
        assert http.get(f"{server.health_url}/readyz").json() == {"status": "not ready", "draining": True}
        submitted = http.post("/api/v1/tasks", json=task_body())
        assert (submitted.status_code, submitted.headers["connection"]) == (201, "close")
    assert server.terminate() == 0


def test_log_lines_are_json_and_have_the_request_id(services: Services, database_url: str) -> None:
    env = {"TASKCORE_DATABASE_URL": database_url, "TASKCORE_LOG__LEVEL": "debug"}
    server = services.start("taskapi", env=env)

    httpx.get(f"{server.url}/api/v1/queues", headers={"X-Request-Id": "look-for-me"}, trust_env=False)

    def line() -> dict[str, object]:
        lines = [json.loads(text) for text in server.log.splitlines() if "look-for-me" in text]
        return next(found for found in lines if found["event"] == "request.answered")

    eventually(lambda: "look-for-me" in server.log)
    assert line()["request_id"] == "look-for-me"
    assert line()["route"] == "/api/v1/queues"


def test_invalid_settings_are_named_at_start(services: Services) -> None:
    server = services.start("taskapi", env={"TASKCORE_API__PROCESSES": "none"}, ready=False)

    assert server.wait() == 2
    assert "TASKCORE_API__PROCESSES" in server.log


def test_a_taken_port_is_refused(services: Services, server: Service, database_url: str) -> None:
    for section, url in (("API", server.url), ("HEALTH", server.health_url)):
        env = {"TASKCORE_DATABASE_URL": database_url, f"TASKCORE_{section}__PORT": url.rpartition(":")[2]}
        second = services.start("taskapi", env=env, ready=False)

        assert second.wait() == 2
        assert url.removeprefix("http://") in second.log
        assert f"TASKCORE_{section}__PORT" in second.log


def test_several_processes_serve_one_port(services: Services, database_url: str) -> None:
    register_type(database_url, "noop", ANYTHING)
    env = {"TASKCORE_DATABASE_URL": database_url, "TASKCORE_API__PROCESSES": "2"}
    server = services.start("taskapi", env=env)

    for _ in range(10):
        assert httpx.post(f"{server.url}/api/v1/tasks", json=task_body(), trust_env=False).status_code == 201
    assert server.terminate() == 0


def test_silent_connections_take_down_neither_health_nor_the_api(services: Services, database_url: str) -> None:
    env = {"TASKCORE_API__MAX_CONNECTIONS": "8", "TASKCORE_API__IDLE_TIMEOUT_S": "0.5"}
    server = services.start("taskapi", env={"TASKCORE_DATABASE_URL": database_url, **env})
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))

    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(socket.create_connection(address))

        for path in ("livez", "readyz", "metrics"):
            assert httpx.get(f"{server.health_url}/{path}", trust_env=False, timeout=5).is_success
        assert httpx.get(f"{server.url}/api/v1/queues", trust_env=False, timeout=60).is_success


def test_it_listens_on_addresses_of_both_families(services: Services, database_url: str) -> None:
    env = {"TASKCORE_API__HOST": "::", "TASKCORE_HEALTH__HOST": "::"}
    server = services.start("taskapi", env={"TASKCORE_DATABASE_URL": database_url, **env})

    for address in ("127.0.0.1", "[::1]"):
        assert httpx.get(server.url.replace("127.0.0.1", address), trust_env=False).is_success


def test_a_failed_start_ends_with_its_error() -> None:
    program = (
        "from taskapi.server import *; from taskcore.settings import *; settings = ApiSettings(port=0)\n"
        "server = DrainingServer('taskapi.nowhere:app', drain_s=3600, **server_options(settings))\n"
        "server.serve(OwnListener(DrainingServer._spawn_asgi_lifespan_worker, '127.0.0.1', 0))"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert ended.returncode == 1
    assert "No module named 'taskapi.nowhere'" in ended.stderr
    assert "ProcessLookupError" not in ended.stderr
