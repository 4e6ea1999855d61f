"""Log lines of real processes name task, attempt, request and trace, and contain no secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.ports import free_port
from harness.processes import Service, Services
from harness.waiting import eventually
from tests.system.conftest import MakeSystem
from tests.system.system import System


@pytest.fixture(scope="module")
def system(make_system: MakeSystem) -> System:
    """Return a system whose trace endpoint does not exist. Sampled tasks have a trace id all the same."""
    missing_endpoint = f"http://127.0.0.1:{free_port()}"
    system = make_system(
        {
            "TASKCORE_TRACING__ENDPOINT": missing_endpoint,
            "TASKCORE_LOG__LEVEL": "debug",
            "TASKCORE_WORKER__PROCESSES": "1",
        }
    )
    system.start(coordinators=1, workers=1)
    return system


@pytest.fixture(scope="module")
def worker(system: System, services: Services) -> Service:
    return next(service for service in services.started if service.command == ("taskworker", "run"))


def lines(service: Service, event: str) -> list[dict[str, Any]]:
    """Wait for log lines of an event and return them."""

    def found() -> list[dict[str, Any]]:
        logged = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
        return [line for line in logged if event in line["event"]]

    return eventually(found)


@pytest.mark.parametrize("type_", ["talkative", "talkative_alone"])
def test_log_line_of_an_attempt_names_task_attempt_request_and_trace(
    system: System, worker: Service, type_: str
) -> None:
    headers = {"X-Request-Id": f"the-request-of-{type_}"}
    asked = {"name": "t", "type": type_, "parameters": {"gate": "none"}}
    task_id = system.api.post("/tasks", json=asked, headers=headers).json()["id"]
    system.wait_for(task_id, "succeeded")

    of_task = [line for event in ("by a library", "by the context") for line in lines(worker, event)]
    own_lines = [line for line in of_task if line["task_id"] == task_id]

    assert len(own_lines) == 2
    trace_id = own_lines[0]["trace_id"]
    assert len(trace_id) == 32
    for line in own_lines:
        assert (line["task_type"], line["attempt"]) == (type_, 1)
        assert (line["request_id"], line["trace_id"]) == (f"the-request-of-{type_}", trace_id)
    assert [line["logger"] for line in own_lines] == ["a.library", "taskcore.execution.services"]


def test_no_secret_is_logged_or_stored(system: System, worker: Service) -> None:
    task_id = system.submit("talkative", {"gate": "none"})
    system.wait_for(task_id, "succeeded")

    kept = system.api.get(f"/tasks/{task_id}/logs").json()["items"]

    lines(worker, "by the context")
    assert "postgresql://me:***@db/x" in worker.log
    assert "hunter2" not in worker.log
    (line,) = kept
    assert line["fields"] == {"password": "***", "request": {"X-Api-Key": "***"}, "of": "redis://:***@x"}


def test_request_is_logged_with_its_trace(system: System, services: Services) -> None:
    system.api.get("/queues", headers={"X-Request-Id": "look-for-me"})

    api = next(service for service in services.started if service.command == ("taskapi",))
    eventually(lambda: "look-for-me" in api.log)
    (line,) = [line for line in lines(api, "request.answered") if line["request_id"] == "look-for-me"]
    assert len(line["trace_id"]) == 32
