"""`task-cli task logs` and `task watch`: each record once, and an exit by the task's status."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.taskclient.bodies import ENTRY
from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, Reply, Request, problem, task_body


def line(number: int, attempt: int = 1, **members: Any) -> dict[str, Any]:
    return {
        "attempt": attempt,
        "line": number,
        "at": "2030-01-02T03:04:06Z",
        "level": "info",
        "message": f"line {number}",
        "fields": None,
    } | members


def page(*lines: dict[str, Any], has_more: bool = False) -> Answer:
    next_after = f"{lines[-1]['attempt']}.{lines[-1]['line']}" if lines else None
    return Answer(200, {"items": list(lines), "next_after": next_after, "has_more": has_more})


def after_cursor(*lines: dict[str, Any]) -> Reply:
    """Reply with a page of the lines after the cursor of the request."""

    def reply(request: Request) -> Answer:
        place = request.query.get("after", ["0.0"])[0]
        return page(*[one for one in lines if [one["attempt"], one["line"]] > [int(n) for n in place.split(".")]])

    return reply


def test_logs_are_read_to_the_last_page(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/5/logs", page(line(1), line(2), has_more=True), page(line(3, fields={"n": 1})))

    table = cli("task", "logs", "--id", "5")

    assert table.exit_code == 0
    assert [request.query.get("after") for request in server.requests] == [None, ["1.2"]]
    assert "line 3" in table.stdout
    assert table.stdout.splitlines()[-1] == "total: 3"


def test_logs_of_one_attempt_are_printed_as_json(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/5/logs", page(line(1, attempt=2)))

    result = cli("t", "logs", "5", "--attempt", "2", "-o", "json")

    assert server.requests[0].query["attempt"] == ["2"]
    assert [item["message"] for item in json.loads(result.stdout)["items"]] == ["line 1"]


@pytest.mark.parametrize(("status", "exit_code"), [("succeeded", 0), ("failed", 3), ("cancelled", 3)])
def test_follow_prints_the_last_line_and_exits_by_the_tasks_status(
    cli: RunCli, server: FakeTaskServer, status: str, exit_code: int
) -> None:
    server.on("GET", "/tasks/5", Answer(200, task_body(status="running")))
    server.on("GET", "/tasks/5/wait", Answer(200, task_body(status=status)))
    server.on(
        "GET",
        "/tasks/5/logs",
        after_cursor(line(1)),
        after_cursor(line(1), line(2, level="error", message="a\x1b[31m")),
    )

    result = cli("task", "logs", "5", "--follow")

    assert result.exit_code == exit_code
    assert result.stdout.splitlines() == [
        "2030-01-02 03:04:06Z  info     line 1",
        "2030-01-02 03:04:06Z  error    a\\x1b[31m",
    ]


def test_follow_exits_4_on_timeout(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/5", Answer(200, task_body(status="running")))
    server.on("GET", "/tasks/5/logs", after_cursor(line(1)))

    result = cli("task", "logs", "5", "-f", "--timeout", "0")

    assert result.exit_code == 4
    assert "line 1" in result.stdout


def test_timeout_without_follow_is_a_usage_error(cli: RunCli) -> None:
    assert cli("task", "logs", "5", "--timeout", "3").exit_code == 2


def test_missing_task_exits_1(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/5", problem(404, "task_not_found"))

    for command in (("logs", "--follow"), ("logs",), ("watch",)):
        assert cli("task", *command, "--id", "5").exit_code == 1


def serve_activity(server: FakeTaskServer) -> None:
    """Serve a task that starts, logs a line, is half done, and succeeds."""
    entries = [
        ENTRY | {"id": n + 1, "from_status": old, "to_status": new, "at": f"2030-01-02T03:04:0{4 + 2 * n}Z"}
        for n, (old, new) in enumerate([(None, "queued"), ("queued", "running"), ("running", "succeeded")])
    ]
    server.on("GET", "/tasks/5", Answer(200, task_body(status="running", progress={"percent": 50})))
    server.on("GET", "/tasks/5/wait", Answer(200, task_body(status="succeeded", progress={"percent": 50})))
    pages = [{"items": items, "next_after": None} for items in (entries[:2], entries[2:])]
    server.on("GET", "/tasks/5/history", *(Answer(200, page) for page in pages))
    server.on("GET", "/tasks/5/logs", after_cursor(line(1, at="2030-01-02T03:04:05Z")))


def test_watch_prints_each_record_once_in_order(cli: RunCli, server: FakeTaskServer) -> None:
    serve_activity(server)

    result = cli("task", "watch", "--id", "5")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        "2030-01-02 03:04:04Z  status   (new) -> queued (attempt 0, by api)",
        "2030-01-02 03:04:05Z  info     line 1",
        "2030-01-02 03:04:06Z  status   queued -> running (attempt 0, by api)",
        '                      progress {"percent":50}',
        "2030-01-02 03:04:08Z  status   running -> succeeded (attempt 0, by api)",
    ]


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_watch_prints_documents(cli: RunCli, server: FakeTaskServer, form: str) -> None:
    serve_activity(server)

    result = cli("task", "watch", "5", "-o", form)

    lines = result.stdout.splitlines()
    records = yaml.safe_load(result.stdout) if form == "yaml" else [json.loads(line) for line in lines]
    assert [record["record"] for record in records] == ["transition", "log", "transition", "progress", "transition"]
    assert records[1]["message"] == "line 1"
