"""`task-cli task …`: the requests and the output."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.taskclient.bodies import ENTRY
from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, page_body, task_body

COUNTS = {
    "total": 28,
    "cancelled": 7,
    "failed": 6,
    "succeeded": 5,
    "retrying": 4,
    "running": 3,
    "queued": 2,
    "blocked": 0,
    "paused": 0,
    "cancelling": 0,
    "scheduled": 1,
}


@pytest.mark.parametrize("words", [("task", "create"), ("task", "new"), ("t", "c")])
def test_create_sends_the_given_options(cli: RunCli, server: FakeTaskServer, words: tuple[str, str]) -> None:
    server.on("POST", "/tasks", Answer(201, task_body()))

    result = cli(
        *words, "say hello", "--type", "noop",
        "--parameter", "count=5", "--parameter", 'to=["a@example.com"]',
        "--parameter", "text=a=b", "--parameter", "x=",
        "--description", "D", "--priority", "-7", "--queue", "fast", "--run-at", "2030-01-02T03:04:05+02:00",
        "--label", "team=a", "--label", "env=b=c", "--max-attempts", "2",
        "--timeout", "30", "--delete-after", "0.5", "--depends-on", "3", "--depends-on", "4",
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
        "timeout": 30,
        "delete_after": 0.5,
        "depends_on": [3, 4],
    }


def test_single_parameters_override_the_json_object(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("POST", "/tasks", Answer(201, task_body()))

    cli("task", "create", "n", "--type", "noop", "--parameters-json", '{"a": 1, "b": 2}', "--parameter", "b=3")

    assert server.requests[0].body["parameters"] == {"a": 1, "b": 3}


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
def test_json_output_is_pure_json(cli: RunCli, server: FakeTaskServer, arguments: tuple[str, ...]) -> None:
    server.on("GET", "/tasks/5", Answer(200, task_body(name="grüße\n\x1b[31m")))

    result = cli(*arguments)

    task = json.loads(result.stdout)
    assert task["name"] == "grüße\n\x1b[31m"
    assert task["created_at"] == "2030-01-02T03:04:05Z"
    assert task["available_actions"] == ["cancel", "delete"]


def test_yaml_output_is_pure_yaml(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks", Answer(200, page_body(task_body(name="grüße: yes\n"))))

    result = cli("task", "list", "-o", "yaml")

    page = yaml.safe_load(result.stdout)
    assert page["items"][0]["name"] == "grüße: yes\n"
    assert page["total"] == 1


def test_option_after_the_command_overrides_one_before_it(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/status", Answer(200, COUNTS))

    result = cli("-o", "yaml", "task", "status", "-o", "json")

    assert json.loads(result.stdout)["total"] == 28


def test_address_is_accepted_after_the_command(cli: RunCli, server: FakeTaskServer, dead_address: str) -> None:
    server.on("GET", "/tasks/status", Answer(200, COUNTS))

    result = cli("--address", dead_address, "task", "status", "--address", server.address)

    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("word", ["status", "s", "stat"])
def test_counts_are_printed_in_fixed_order(cli: RunCli, server: FakeTaskServer, word: str) -> None:
    server.on("GET", "/tasks/status", Answer(200, COUNTS))

    table, as_json = cli("task", word), cli("task", word, "-o", "json")

    idle = ["blocked", "scheduled", "queued"]
    order = [*idle, "running", "retrying", "paused", "cancelling", "succeeded", "failed", "cancelled", "total"]
    assert [line.split() for line in table.stdout.splitlines()] == [[name, str(COUNTS[name])] for name in order]
    assert list(json.loads(as_json.stdout)) == order


@pytest.mark.parametrize("words", [("task", "history"), ("t", "log"), ("history",), ("h",), ("log",)])
def test_history_is_available_at_the_root_and_under_task(
    cli: RunCli, server: FakeTaskServer, words: tuple[str, ...]
) -> None:
    deletion = ENTRY | {"id": 2, "from_status": "queued", "to_status": None}
    server.on("GET", "/tasks/5/history", Answer(200, {"items": [ENTRY, deletion], "next_after": None}))

    table, as_json = cli(*words, "--id", "5"), cli(*words, "--id", "5", "-o", "json")

    assert "(deleted)" in table.stdout
    assert table.stdout.splitlines()[-1] == "total: 2"
    assert [step["to_status"] for step in json.loads(as_json.stdout)["items"]] == ["queued", None]


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "retry"])
def test_action_shows_the_changed_task(cli: RunCli, server: FakeTaskServer, action: str) -> None:
    server.on("POST", f"/tasks/5/{action}", Answer(200, task_body()))

    result = cli("task", action, "--id", "5", "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["id"] == 5
    assert server.requests[0].body in (None, {"reason": None})


@pytest.mark.parametrize("action", ["cancel", "pause"])
def test_reason_of_an_action_is_sent(cli: RunCli, server: FakeTaskServer, action: str) -> None:
    server.on("POST", f"/tasks/5/{action}", Answer(200, task_body()))

    cli("task", action, "5", "--reason", "not today")

    assert server.requests[0].body == {"reason": "not today"}


def test_queue_is_paused_with_a_reason_and_resumed(cli: RunCli, server: FakeTaskServer) -> None:
    queue = {"name": "mail", "waiting": 4, "dispatched": 1, "delayed": 0, "running": 2, "live_slots": 8,
             "oldest_age_s": 1.25, "paused_at": "2030-01-02T03:04:05Z", "pause_reason": "moving house"}  # fmt: skip
    server.on("POST", "/queues/mail/pause", Answer(200, queue))
    server.on("POST", "/queues/mail/resume", Answer(200, queue | {"paused_at": None, "pause_reason": None}))

    paused = cli("queue", "pause", "mail", "--reason", "moving house")
    resumed = cli("queue", "resume", "mail", "-o", "json")

    assert server.requests[0].body == {"reason": "moving house"}
    assert "moving house" in paused.stdout
    assert json.loads(resumed.stdout)["paused_at"] is None


@pytest.mark.parametrize("words", ["dependencies", "dependents"])
def test_related_tasks_are_listed_to_the_last_page(cli: RunCli, server: FakeTaskServer, words: str) -> None:
    there, gone = {"id": 3, "name": "load", "status": "queued"}, {"id": 4, "name": None, "status": None}
    server.on(
        "GET",
        f"/tasks/5/{words}",
        Answer(200, {"items": [there], "next_after": 3}),
        Answer(200, {"items": [gone], "next_after": None}),
    )

    table = cli("task", words, "--id", "5")

    assert [request.query for request in server.requests] == [{"after": ["0"]}, {"after": ["3"]}]
    assert "(deleted)" in table.stdout
    assert table.stdout.splitlines()[-1] == "total: 2"
    as_json = cli("task", words, "5", "-o", "json")
    assert json.loads(as_json.stdout) == {"items": [gone], "total": 1}


def test_delete_prints_the_deleted_id(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("DELETE", "/tasks/5", Answer(204))

    table, as_json = cli("task", "delete", "--id", "5"), cli("task", "delete", "--id", "5", "-o", "json")

    assert table.stdout == "task 5 deleted\n"
    assert json.loads(as_json.stdout) == {"id": 5, "deleted": True}


def test_help_shows_aliases(cli: RunCli) -> None:
    top, task, create = cli("--help"), cli("task", "--help"), cli("t", "c", "--help")

    assert "task, t " in top.stdout
    assert "history, h, log " in top.stdout
    for line in ("create, c, new ", "get, g, show ", "list, l, ls ", "status, s, stat "):
        assert line in task.stdout
    assert "Aliases: c, new" in create.stdout


def test_debug_log_level_shows_requests(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/status", Answer(200, COUNTS))

    result = cli("task", "status", "--log-level", "INFO", "-o", "json")

    assert "/api/v1/tasks/status" in result.stderr
    assert json.loads(result.stdout)["total"] == 28
