"""Exit codes and messages of `task-cli`: wrong usage, a server that refuses, an unreachable server."""

from __future__ import annotations

import pytest

from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, problem, task_body


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["create", "n"], "--type"),
        (["create", "n", "--type", "noop", "--parameter", "novalue"], "key=value"),
        (["create", "n", "--type", "noop", "--parameter", "a=1", "--parameter", "a=2"], "given twice"),
        (["create", "n", "--type", "noop", "--parameters-json", "[1]"], "not a JSON object"),
        (["create", "n", "--type", "noop", "--run-at", "2030-01-02T03:04:05"], "no time zone"),
        (["create", "n", "--type", "noop", "--run-at", "tomorrow"], "neither ISO 8601 nor"),
        (["create", "n", "--type", "noop", "--run-at", "+99999999999d"], "out of range"),
        (["create", "n", "--type", "noop", "--wait-timeout", "5"], "--wait"),
        (["create", "n", "--type", "noop", "--timeout", "0"], "--timeout"),
        (["create", "n", "--type", "noop", "--depends-on", "first"], "--depends-on"),
        (["create", "\udc80", "--type", "noop"], "UTF-8"),
        (["get"], "--id"),
        (["get", "5", "--id", "5"], "once"),
        (["get", "--id", "five"], "--id"),
        (["list", "--offset", "3", "-n", "2"], "--pageNumber"),
        (["list", "--limit", "3", "-c", "2"], "--pageCount"),
        (["list", "--status", "sleeping"], "--status"),
        (["list", "-o", "xml"], "--output"),
        (["list", "--address", "ftp://example.com"], "--address"),
        (["explode"], "explode"),
    ],
)
def test_wrong_usage_exits_2_with_a_reason(
    cli: RunCli, server: FakeTaskServer, arguments: list[str], reason: str
) -> None:
    result = cli("task", *arguments)

    assert result.exit_code == 2
    assert reason in result.stderr
    assert result.stdout == ""
    assert server.requests == []


def test_api_error_is_printed_as_one_block(cli: RunCli, server: FakeTaskServer) -> None:
    errors = [{"field": "parameters.to", "message": "is missing"}, {"field": "name", "message": "is too long"}]
    server.on("POST", "/tasks", problem(422, "invalid_task", "Two fields are wrong", errors=errors))

    result = cli("task", "create", "n", "--type", "noop", "-o", "json")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "Error: It was refused (422 invalid_task)",
        "  Two fields are wrong",
        "  parameters.to: is missing",
        "  name: is too long",
        "  request id: r-9",
    ]


def test_number_of_printed_field_errors_is_limited(cli: RunCli, server: FakeTaskServer) -> None:
    errors = [{"field": f"tasks[{i}].type", "message": "is unknown"} for i in range(1000)]
    server.on("POST", "/tasks", problem(422, "invalid_task", errors=errors))

    result = cli("task", "create", "n", "--type", "noop")

    assert len(result.stderr.splitlines()) < 30
    assert "and 980 more" in result.stderr


def test_impossible_action_names_the_current_status(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("DELETE", "/tasks/5", problem(409, "action_not_available", task_status="running"))

    result = cli("task", "delete", "--id", "5")

    assert result.exit_code == 1
    assert "the task is running" in result.stderr


def test_unreachable_server_exits_1_and_names_the_address(cli: RunCli, dead_address: str) -> None:
    result = cli("--address", dead_address, "task", "list")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"Error: cannot reach {dead_address}")


def test_short_outage_is_retried(cli: RunCli, server: FakeTaskServer) -> None:
    unavailable = problem(503, "database_unavailable", retry_after="0")
    server.on("POST", "/tasks", unavailable, Answer(201, task_body()))

    result = cli("task", "create", "n", "--type", "noop")

    assert result.exit_code == 0
    assert result.stderr == ""
