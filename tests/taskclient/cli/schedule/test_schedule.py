"""`task-cli schedule …`, and the client's calls about schedules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, problem, task_body


def schedule_body(schedule_id: int = 3, **fields: Any) -> dict[str, Any]:
    return {
        "id": schedule_id,
        "name": "nightly",
        "description": None,
        "cron": "30 2 * * *",
        "every_s": None,
        "timezone": "Europe/Berlin",
        "jitter_s": 0.0,
        "overlap": "skip",
        "catch_up": "last",
        "catch_up_limit": 100,
        "run_at_start": False,
        "task": {"type": "noop", "parameters": {"a": 1, "b": 2}, "queue": "night"},
        "next_at": "2030-01-03T01:30:00Z",
        "last_at": "2030-01-02T01:30:00Z",
        "last_task_id": 41,
        "missed": 0,
        "paused_at": None,
        "pause_reason": None,
        "managed_by": None,
        "created_by": "user:ada",
        "created_at": "2030-01-01T00:00:00Z",
        "changed_at": "2030-01-01T00:00:00Z",
        "of_a_newer_server": 1,
    } | fields


def page(*schedules: dict[str, Any], next_after: int | None = None) -> Answer:
    return Answer(200, {"items": list(schedules), "total": 2, "next_after": next_after})


PREVIEW = Answer(
    200, {"timezone": "Europe/Berlin", "times": [{"at": "2030-07-01T00:30:00Z", "local": "2030-07-01T02:30:00+02:00"}]}
)


def test_list_reads_every_page(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/schedules", page(schedule_body(3), next_after=3), page(schedule_body(4, every_s=90, cron=None)))

    table = cli("schedule", "list")
    as_json = cli("schedule", "ls", "-o", "json")

    assert "30 2 * * * Europe/Berlin" in table.stdout
    assert "every 90 s" in table.stdout
    assert [request.query["after"] for request in server.requests[:2]] == [["0"], ["3"]]
    assert json.loads(as_json.stdout)["items"][0]["next_at"] == "2030-01-03T01:30:00Z"


def test_create_sends_only_the_given_fields(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("POST", "/schedules", Answer(201, schedule_body()))

    result = cli(
        "schedule", "create", "nightly", "--type", "send_email", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin",
        "-p", "to=ada@example.com", "--queue", "mail", "--overlap", "queue", "--run-at-start",
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    assert server.requests[0].body == {
        "name": "nightly",
        "task": {"type": "send_email", "parameters": {"to": "ada@example.com"}, "queue": "mail"},
        "cron": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "overlap": "queue",
        "run_at_start": True,
    }


def test_create_accepts_a_duration_as_interval(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("POST", "/schedules", Answer(201, schedule_body(cron=None, every_s=600)))

    cli("schedule", "create", "often", "--type", "noop", "--every", "10m", "--jitter", "2.5", "--catch-up-limit", "5")

    body = server.requests[0].body
    assert (body["every_s"], body["jitter_s"], body["catch_up_limit"]) == (600, 2.5, 5)


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "x", "--type", "noop"),
        ("create", "x", "--cron", "@daily"),
        ("create", "x", "--type", "noop", "--cron", "@daily", "--every", "10m"),
        ("create", "x", "--type", "noop", "--every", "soon"),
        ("create", "x", "--type", "noop", "--cron", "@daily", "-p", "a=1", "-p", "a=2"),
        ("change", "3"),
        ("change", "3", "--cron", "@daily", "--every", "10m"),
        ("get",),
        ("get", "3", "--id", "3"),
        ("preview",),
        ("preview", "3", "--cron", "@daily"),
        ("preview", "3", "--timezone", "UTC"),
        ("run", "3", "--wait-timeout", "5"),
    ],
)
def test_contradictory_options_are_a_usage_error(
    cli: RunCli, server: FakeTaskServer, arguments: tuple[str, ...]
) -> None:
    result = cli("schedule", *arguments)

    assert result.exit_code == 2
    assert server.requests == []


@pytest.mark.parametrize("which", [("3",), ("--id", "3"), ("nightly",)])
def test_schedule_is_found_by_id_or_name(cli: RunCli, server: FakeTaskServer, which: tuple[str, ...]) -> None:
    server.on("GET", "/schedules", page(schedule_body(3)))
    server.on("GET", "/schedules/3", Answer(200, schedule_body(3)))

    result = cli("schedule", "get", *which, "-o", "yaml")

    assert result.exit_code == 0, result.stderr
    assert "name: nightly" in result.stdout


def test_unknown_schedule_name_exits_1(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/schedules", page())

    result = cli("schedule", "pause", "daily")

    assert result.exit_code == 1
    assert "no schedule is named 'daily'" in result.stderr


def test_change_sends_the_given_fields_and_keeps_the_rest_of_the_task(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/schedules/3", Answer(200, schedule_body()))
    server.on("PATCH", "/schedules/3", Answer(200, schedule_body()))

    times = cli("schedule", "change", "3", "--every", "10m", "--jitter", "0")
    task = cli("schedule", "change", "3", "-p", "b=5", "--priority", "0")

    assert (times.exit_code, task.exit_code) == (0, 0)
    patched = [request.body for request in server.requests if request.method == "PATCH"]
    assert patched == [
        {"every_s": 600, "jitter_s": 0},
        {"task": {"type": "noop", "parameters": {"a": 1, "b": 5}, "queue": "night", "priority": 0}},
    ]


def test_pause_resume_and_delete_call_their_endpoints(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("POST", "/schedules/3/pause", Answer(200, schedule_body(pause_reason="moving")))
    server.on("POST", "/schedules/3/resume", Answer(200, schedule_body()))
    server.on("DELETE", "/schedules/3", Answer(204))

    paused = cli("schedule", "pause", "3", "--reason", "moving")
    resumed = cli("schedule", "resume", "--id", "3")
    deleted = cli("schedule", "delete", "3")

    assert (paused.exit_code, resumed.exit_code, deleted.stdout) == (0, 0, "schedule 3 deleted\n")
    assert server.requests[0].body == {"reason": "moving"}


def test_run_shows_the_task_and_can_wait_for_it(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("POST", "/schedules/3/run", Answer(201, {"task_id": 42, "due_at": "2030-01-02T03:04:05Z"}))
    server.on("GET", "/tasks/42/wait", Answer(200, task_body(42, status="failed", error="no mail server")))

    submitted = cli("schedule", "run", "3", "-o", "json")
    waited = cli("schedule", "run", "3", "--wait")

    assert json.loads(submitted.stdout)["task_id"] == 42
    assert waited.exit_code == 3


def test_overlap_exits_1_and_names_the_task(cli: RunCli, server: FakeTaskServer) -> None:
    detail = "Task 41, which it submitted before, has not finished"
    server.on("POST", "/schedules/3/run", problem(409, "schedule_overlap", detail, task_id=41))

    result = cli("schedule", "run", "3")

    assert result.exit_code == 1
    assert "Task 41" in result.stderr


def test_preview_shows_utc_and_local_times(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/schedules/3/preview", PREVIEW)
    server.on("POST", "/schedules/preview", PREVIEW)

    of_one = cli("schedule", "preview", "3", "--count", "5")
    of_a_line = cli("schedule", "preview", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin")

    assert of_one.stdout == of_a_line.stdout
    assert "2030-07-01 00:30:00Z   Mon 2030-07-01 02:30:00 +0200" in of_one.stdout
    assert server.requests[0].query == {"count": ["5"]}
    assert server.requests[1].body == {"cron": "30 2 * * *", "every_s": None, "timezone": "Europe/Berlin", "count": 10}


def test_fires_show_each_time_and_the_next_cursor(cli: RunCli, server: FakeTaskServer) -> None:
    times = {"due_at": "2030-01-02T01:30:00Z", "at": "2030-01-02T01:30:00.5Z"}
    items = [
        {**times, "task_id": None, "waits": True, "skipped": False},
        {**times, "task_id": None, "waits": False, "skipped": True},
        {**times, "task_id": 41, "waits": False, "skipped": False},
    ]
    server.on("GET", "/schedules/3/fires", Answer(200, {"items": items, "next_before": "2030-01-02T01:30:00Z"}))

    result = cli("schedule", "fires", "3", "--before", "2030-01-05T00:00:00Z")

    lines = result.stdout.splitlines()
    assert [line.split()[-1] for line in lines[2:5]] == ["(waits)", "(skipped)", "41"]
    assert lines[-1] == "more: --before 2030-01-02T01:30:00+00:00"
    assert server.requests[0].query == {"before": ["2030-01-05T00:00:00+00:00"], "limit": ["30"]}
