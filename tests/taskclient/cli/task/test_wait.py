"""`task-cli task wait` and `task create --wait` exit by the task's status."""

from __future__ import annotations

import json

import pytest

from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, task_body


@pytest.mark.parametrize(("status", "exit_code"), [("succeeded", 0), ("failed", 3), ("cancelled", 3)])
def test_wait_exits_by_the_tasks_status(cli: RunCli, server: FakeTaskServer, status: str, exit_code: int) -> None:
    server.on("GET", "/tasks/5/wait", Answer(200, task_body(status=status)))

    result = cli("task", "wait", "--id", "5", "-o", "json")

    assert result.exit_code == exit_code
    assert json.loads(result.stdout)["status"] == status


def test_error_of_a_failed_task_is_printed_on_stderr(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/5/wait", Answer(200, task_body(status="failed", error="no such table\nTraceback…")))

    result = cli("task", "wait", "5")

    assert result.stderr == "Error: task 5 failed: no such table\n"


def test_wait_exits_4_on_timeout_and_shows_the_task(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/5/wait", Answer(200, task_body(status="running")))

    result = cli("task", "wait", "--id", "5", "--timeout", "0", "-o", "json")

    assert result.exit_code == 4
    assert json.loads(result.stdout)["status"] == "running"
    assert result.stderr == "Error: task 5 is still running after 0 s\n"


def test_create_with_wait_prints_the_finished_task_once(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("POST", "/tasks", Answer(201, task_body()))
    server.on("GET", "/tasks/5/wait", Answer(200, task_body(status="succeeded", result={"one": 1})))

    result = cli("task", "create", "n", "--type", "noop", "--wait", "-o", "json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["result"] == {"one": 1}
    assert result.stderr == "submitted task 5\n"


def test_create_with_wait_exits_3_when_the_task_fails(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("POST", "/tasks", Answer(201, task_body()))
    server.on("GET", "/tasks/5/wait", Answer(200, task_body(status="failed", reason="crash_loop")))

    result = cli("task", "create", "n", "--type", "noop", "--wait")

    assert result.exit_code == 3
    assert "task 5 failed: crash_loop" in result.stderr


def test_create_with_wait_exits_4_on_timeout(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("POST", "/tasks", Answer(201, task_body()))
    server.on("GET", "/tasks/5/wait", Answer(200, task_body()))

    result = cli("task", "create", "n", "--type", "noop", "--wait", "--wait-timeout", "0")

    assert result.exit_code == 4
    assert "submitted task 5" in result.stderr
