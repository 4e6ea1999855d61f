"""Lists of tasks, workers, queues and types: the requests and the output."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, page_body, task_body


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
def test_list_accepts_every_paging_option(
    cli: RunCli, server: FakeTaskServer, flags: list[str], offset: str, limit: str
) -> None:
    server.on("GET", "/tasks", Answer(200, page_body()))

    result = cli("task", "list", *flags)

    assert result.exit_code == 0, result.stderr
    assert server.requests[0].query == {"offset": [offset], "limit": [limit]}


@pytest.mark.parametrize("search", ["-q", "--search"])
def test_list_sends_its_filters(cli: RunCli, server: FakeTaskServer, search: str) -> None:
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


def test_list_prints_one_row_per_task_and_the_total(cli: RunCli, server: FakeTaskServer) -> None:
    long_name = "n" * 255
    server.on("GET", "/tasks", Answer(200, page_body(task_body(7, name=long_name), task_body(6), total=41)))

    result = cli("task", "l")

    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["ID", "NAME", "TYPE"]
    assert lines[2].split()[:2] == ["7", long_name]
    assert lines[3].startswith("6 ")
    assert lines[-1] == "total: 41 (shown: 2)"


def test_capped_total_says_so(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks", Answer(200, page_body(total=100_000) | {"total_is_capped": True}))

    result = cli("task", "list")

    assert "total: 100000 or more" in result.stdout


def test_control_characters_in_a_name_are_escaped(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks", Answer(200, page_body(task_body(name="\x1b[2J[red]x\x07"))))

    result = cli("task", "list")

    assert "\x1b" not in result.stdout
    assert "\\x1b[2J[red]x\\x07" in result.stdout


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
             "oldest_age_s": 1.25, "paused_at": "2030-01-02T03:04:05Z", "pause_reason": "moving house",
             "paused_by": "user:ann"},
            "moving house",
        ),
        (
            ("type", "l"),
            "/task-types",
            {"name": "noop", "description": "Does nothing.", "queue": "default", "max_attempts": 4, "retry": {},
             "schema": {}, "is_served": False, "seen_at": "2030-01-02T03:04:05Z", "timeout": 30, "isolation": "process",
             "can_cancel": True, "can_pause": True},
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


def test_queue_is_deleted_by_its_name(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("DELETE", "/queues/mail", Answer(204))

    result = cli("queue", "delete", "mail")

    assert (result.exit_code, result.stdout) == (0, "queue mail deleted\n")


def test_reason_why_a_queue_is_not_deleted_is_shown(cli: RunCli, server: FakeTaskServer) -> None:
    problem = {"title": "The queue is in use", "status": 409, "code": "queue_in_use", "detail": "It has tasks."}
    server.on("DELETE", "/queues/mail", Answer(409, problem))

    result = cli("queue", "delete", "mail")

    assert result.exit_code != 0
    assert "It has tasks." in result.stderr
