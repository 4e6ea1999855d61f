"""`task-cli task …` and the listings: what is asked of the server, what is printed, how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, page_body, problem, task_body

COUNTS = {
    "total": 28,
    "cancelled": 7,
    "failed": 6,
    "succeeded": 5,
    "retrying": 4,
    "running": 3,
    "queued": 2,
    "scheduled": 1,
}
STEP = {
    "id": 1,
    "task_id": 5,
    "attempt": 0,
    "from_status": None,
    "to_status": "queued",
    "actor": "api",
    "details": None,
    "at": "2030-01-02T03:04:05Z",
}


@pytest.mark.parametrize("words", [("task", "create"), ("task", "new"), ("t", "c")])
def test_create_sends_what_the_flags_say(cli: RunCli, server: FakeTaskServer, words: tuple[str, str]) -> None:
    server.on("POST", "/tasks", Answer(201, task_body()))

    result = cli(
        *words, "say hello", "--type", "noop",
        "--parameter", "count=5", "--parameter", 'to=["a@example.com"]',
        "--parameter", "text=a=b", "--parameter", "x=",
        "--description", "D", "--priority", "-7", "--queue", "fast", "--run-at", "2030-01-02T03:04:05+02:00",
        "--label", "team=a", "--label", "env=b=c", "--max-attempts", "2",
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    assert server.requests[0].body == {
        "name": "say hello",
        "type": "noop",
        "parameters": {"count": 5, "to": ["a@example.com"], "text": "a=b", "x": ""},
        "description": "D",
        "priority": -7,
        "queue": "fast",
        "run_at": "2030-01-02T03:04:05+02:00",
        "labels": {"team": "a", "env": "b=c"},
        "max_attempts": 2,
    }


def test_single_parameters_override_the_whole_object(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("POST", "/tasks", Answer(201, task_body()))

    cli("task", "create", "n", "--type", "noop", "--parameters-json", '{"a": 1, "b": 2}', "--parameter", "b=3")

    assert server.requests[0].body["parameters"] == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["create", "n"], "--type"),
        (["create", "n", "--type", "noop", "--parameter", "novalue"], "key=value"),
        (["create", "n", "--type", "noop", "--parameter", "a=1", "--parameter", "a=2"], "given twice"),
        (["create", "n", "--type", "noop", "--parameters-json", "[1]"], "not a JSON object"),
        (["create", "n", "--type", "noop", "--run-at", "2030-01-02T03:04:05"], "no time zone"),
        (["create", "n", "--type", "noop", "--run-at", "tomorrow"], "neither ISO 8601 nor"),
        (["create", "n", "--type", "noop", "--run-at", "+99999999999d"], "too far away"),
        (["create", "n", "--type", "noop", "--timeout", "5"], "--wait"),
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
def test_wrong_usage_exits_2_and_says_why(
    cli: RunCli, server: FakeTaskServer, arguments: list[str], reason: str
) -> None:
    result = cli("task", *arguments)

    assert result.exit_code == 2
    assert reason in result.stderr
    assert result.stdout == ""
    assert server.requests == []


@pytest.mark.parametrize("arguments", [("get", "--id", "5"), ("g", "5"), ("show", "--id", "5")])
def test_get_shows_every_field(cli: RunCli, server: FakeTaskServer, arguments: tuple[str, ...]) -> None:
    server.on("GET", "/tasks/5", Answer(200, task_body(labels={"team": "a"}, worker_id=3)))

    result = cli("task", *arguments)

    rows = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert result.exit_code == 0
    assert rows["status"] == "queued"
    assert rows["labels"] == '{"team":"a"}'
    assert rows["created_at"] == "2030-01-02 03:04:05Z"
    assert rows["error"] == "-"


@pytest.mark.parametrize("arguments", [("-o", "json", "task", "get", "5"), ("task", "get", "5", "--output", "json")])
def test_json_is_pure_json_wherever_it_is_asked_for(
    cli: RunCli, server: FakeTaskServer, arguments: tuple[str, ...]
) -> None:
    server.on("GET", "/tasks/5", Answer(200, task_body(name="grüße\n\x1b[31m")))

    result = cli(*arguments)

    task = json.loads(result.stdout)
    assert task["name"] == "grüße\n\x1b[31m"
    assert task["created_at"] == "2030-01-02T03:04:05Z"
    assert task["available_actions"] == ["cancel", "delete"]


def test_yaml_is_pure_yaml(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks", Answer(200, page_body(task_body(name="grüße: yes\n"))))

    result = cli("task", "list", "-o", "yaml")

    page = yaml.safe_load(result.stdout)
    assert page["items"][0]["name"] == "grüße: yes\n"
    assert page["total"] == 1


def test_an_output_after_the_command_wins_over_one_before_it(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/status", Answer(200, COUNTS))

    result = cli("-o", "yaml", "task", "status", "-o", "json")

    assert json.loads(result.stdout)["total"] == 28


def test_an_address_may_follow_the_command(cli: RunCli, server: FakeTaskServer, dead_address: str) -> None:
    server.on("GET", "/tasks/status", Answer(200, COUNTS))

    result = cli("--address", dead_address, "task", "status", "--address", server.address)

    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("flags", "offset", "limit"),
    [
        ([], "0", "30"),
        (["-n", "3", "-c", "10"], "20", "10"),
        (["--pageNumber", "3", "--pageCount", "10"], "20", "10"),
        (["--offset", "7", "--limit", "5"], "7", "5"),
        (["--offset", "7"], "7", "30"),
        (["--limit", "5", "-n", "2"], "5", "5"),
    ],
)
def test_list_pages_in_every_spelling(
    cli: RunCli, server: FakeTaskServer, flags: list[str], offset: str, limit: str
) -> None:
    server.on("GET", "/tasks", Answer(200, page_body()))

    result = cli("task", "list", *flags)

    assert result.exit_code == 0, result.stderr
    assert server.requests[0].query == {"offset": [offset], "limit": [limit]}


@pytest.mark.parametrize("search", ["-q", "--search"])
def test_list_hands_on_its_filters(cli: RunCli, server: FakeTaskServer, search: str) -> None:
    server.on("GET", "/tasks", Answer(200, page_body()))

    cli(
        "t", "ls", "--status", "failed", "--status", "cancelled", "--type", "noop", "--queue", "q", "--label", "a=b",
        search, "text",
    )  # fmt: skip

    assert server.requests[0].query == {
        "status": ["failed", "cancelled"],
        "type": ["noop"],
        "queue": ["q"],
        "label": ["a=b"],
        "q": ["text"],
        "offset": ["0"],
        "limit": ["30"],
    }


def test_a_list_prints_a_line_a_task_and_the_total(cli: RunCli, server: FakeTaskServer) -> None:
    long_name = "n" * 255
    server.on("GET", "/tasks", Answer(200, page_body(task_body(7, name=long_name), task_body(6), total=41)))

    result = cli("task", "l")

    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["ID", "NAME", "TYPE"]
    assert lines[2].split()[:2] == ["7", long_name]
    assert lines[3].startswith("6 ")
    assert lines[-1] == "total: 41 (shown: 2)"


def test_a_capped_total_says_so(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks", Answer(200, page_body(total=100_000) | {"total_is_capped": True}))

    result = cli("task", "list")

    assert "total: 100000 or more" in result.stdout


def test_a_tasks_name_cannot_steer_the_terminal(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks", Answer(200, page_body(task_body(name="\x1b[2J[red]x\x07"))))

    result = cli("task", "list")

    assert "\x1b" not in result.stdout
    assert "\\x1b[2J[red]x\\x07" in result.stdout


@pytest.mark.parametrize("word", ["status", "s", "stat"])
def test_counts_are_printed_in_their_fixed_order(cli: RunCli, server: FakeTaskServer, word: str) -> None:
    server.on("GET", "/tasks/status", Answer(200, COUNTS))

    table, as_json = cli("task", word), cli("task", word, "-o", "json")

    order = ["scheduled", "queued", "running", "retrying", "succeeded", "failed", "cancelled", "total"]
    assert [line.split() for line in table.stdout.splitlines()] == [[name, str(COUNTS[name])] for name in order]
    assert list(json.loads(as_json.stdout)) == order


@pytest.mark.parametrize("words", [("task", "history"), ("t", "log"), ("history",), ("h",), ("log",)])
def test_history_is_a_command_of_its_own_and_one_of_task(
    cli: RunCli, server: FakeTaskServer, words: tuple[str, ...]
) -> None:
    deletion = STEP | {"id": 2, "from_status": "queued", "to_status": None}
    server.on("GET", "/tasks/5/history", Answer(200, {"items": [STEP, deletion]}))

    table, as_json = cli(*words, "--id", "5"), cli(*words, "--id", "5", "-o", "json")

    assert "(deleted)" in table.stdout
    assert table.stdout.splitlines()[-1] == "total: 2"
    assert [step["to_status"] for step in json.loads(as_json.stdout)["items"]] == ["queued", None]


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_cancel_and_retry_show_the_task_as_it_is_now(cli: RunCli, server: FakeTaskServer, action: str) -> None:
    server.on("POST", f"/tasks/5/{action}", Answer(200, task_body()))

    result = cli("task", action, "--id", "5", "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["id"] == 5
    assert server.requests[0].body is None


def test_cancel_hands_on_the_reason(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("POST", "/tasks/5/cancel", Answer(200, task_body(status="cancelled")))

    cli("task", "cancel", "5", "--reason", "not today")

    assert server.requests[0].body == {"reason": "not today"}


def test_delete_says_what_is_gone(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("DELETE", "/tasks/5", Answer(204))

    table, as_json = cli("task", "delete", "--id", "5"), cli("task", "delete", "--id", "5", "-o", "json")

    assert table.stdout == "task 5 deleted\n"
    assert json.loads(as_json.stdout) == {"id": 5, "deleted": True}


@pytest.mark.parametrize(
    ("words", "path", "item", "shown"),
    [
        (
            ("worker", "list"),
            "/workers",
            {"id": 3, "host": "h1", "pid": 9, "slots": 8, "held": 2, "queues": ["default"], "types": ["noop"],
             "is_live": True, "started_at": "2030-01-02T03:04:05Z", "seen_at": "2030-01-02T03:04:05Z"},
            "2/8",
        ),
        (
            ("queue", "ls"),
            "/queues",
            {"name": "default", "waiting": 4, "dispatched": 1, "delayed": 0, "running": 2, "live_slots": 8,
             "oldest_age_s": 1.25},
            "1.2",
        ),
        (
            ("type", "l"),
            "/task-types",
            {"name": "noop", "description": "Does nothing.", "queue": "default", "max_attempts": 4, "retry": {},
             "schema": {}, "is_served": False, "seen_at": "2030-01-02T03:04:05Z"},
            "Does nothing.",
        ),
    ],
)  # fmt: skip
def test_workers_queues_and_types_are_listed_with_their_total(
    cli: RunCli, server: FakeTaskServer, words: tuple[str, str], path: str, item: dict[str, Any], shown: str
) -> None:
    server.on("GET", path, Answer(200, {"items": [item]}))

    table, as_json = cli(*words), cli(*words, "-o", "json")

    assert shown in table.stdout
    assert table.stdout.splitlines()[-1] == "total: 1"
    assert json.loads(as_json.stdout) == {"items": [item], "total": 1}


def test_help_shows_the_aliases(cli: RunCli) -> None:
    top, task, create = cli("--help"), cli("task", "--help"), cli("t", "c", "--help")

    assert "task, t " in top.stdout
    assert "history, h, log " in top.stdout
    for line in ("create, c, new ", "get, g, show ", "list, l, ls ", "status, s, stat "):
        assert line in task.stdout
    assert "Also: c, new" in create.stdout


def test_a_refusal_is_one_readable_block(cli: RunCli, server: FakeTaskServer) -> None:
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


def test_a_thousand_faults_do_not_flood_the_terminal(cli: RunCli, server: FakeTaskServer) -> None:
    errors = [{"field": f"tasks[{i}].type", "message": "is unknown"} for i in range(1000)]
    server.on("POST", "/tasks", problem(422, "invalid_task", errors=errors))

    result = cli("task", "create", "n", "--type", "noop")

    assert len(result.stderr.splitlines()) < 30
    assert "and 980 more" in result.stderr


def test_what_cannot_be_done_names_the_present_status(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("DELETE", "/tasks/5", problem(409, "not_allowed", task_status="running"))

    result = cli("task", "delete", "--id", "5")

    assert result.exit_code == 1
    assert "the task is running" in result.stderr


def test_a_server_that_is_not_there_exits_1_and_names_the_address(cli: RunCli, dead_address: str) -> None:
    result = cli("--address", dead_address, "task", "list")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"Error: cannot reach {dead_address}")


def test_a_short_outage_is_not_noticed(cli: RunCli, server: FakeTaskServer) -> None:
    away = problem(503, "database_unavailable", retry_after="0")
    server.on("POST", "/tasks", away, Answer(201, task_body()))

    result = cli("task", "create", "n", "--type", "noop")

    assert result.exit_code == 0
    assert result.stderr == ""


def test_the_log_level_shows_the_requests(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/status", Answer(200, COUNTS))

    result = cli("task", "status", "--log-level", "INFO", "-o", "json")

    assert "/api/v1/tasks/status" in result.stderr
    assert json.loads(result.stdout)["total"] == 28
