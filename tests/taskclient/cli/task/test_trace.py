"""`task-cli trace`: a tree of spans with times."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from taskclient.cli.task.trace_view import format_duration
from taskclient.client import Client
from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, problem, task_body

PATH = "/tasks/5/trace"


def span(depth: int, service: str, name: str, at: str, seconds: float, **more: Any) -> dict[str, Any]:
    return {
        "depth": depth,
        "service": service,
        "name": name,
        "kind": "internal",
        "span_id": "00000000000000a1",
        "parent_id": None,
        "start": f"2030-01-02T03:04:{at}Z",
        "end": "2030-01-02T03:04:59Z",
        "duration_s": seconds,
        "status": "unset",
        "status_message": None,
        "attributes": {},
        "links": [],
        "events": [],
    } | more


def trace(*spans: dict[str, Any], attempt: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "trace_id": f"{attempt:032x}",
        "url": None,
        "attempts": [attempt],
        "spans": spans,
        "spans_omitted": 0,
    } | more


def body(*traces: dict[str, Any]) -> Answer:
    return Answer(body={"task_id": 5, "source": "viewer", "traces": traces})


FAILED = {"status": "error", "status_message": "no luck\nTraceback"}
FIRST = trace(
    span(0, "taskapi", "POST /api/v1/tasks", "05", 0.0123),
    span(1, "worker", "wait in default", "04.998", 2.0),
    span(1, "worker", "process default", "07", 0.00085, **FAILED),
    url="http://viewer/1",
)
SECOND = trace(
    span(0, "coordinator", "relay default", "30", 0.5, links=[
        {"trace_id": "1" * 32, "span_id": "2" * 16, "attempt": None},
        {"trace_id": "1" * 32, "span_id": "3" * 16, "attempt": 1},
    ]),
    attempt=2,
    spans_omitted=12,
)  # fmt: skip


@pytest.mark.parametrize("words", [("trace", "--id", "5"), ("task", "trace", "5")])
def test_trace_is_a_tree_with_times_and_a_trace_per_attempt(
    cli: RunCli, server: FakeTaskServer, words: tuple[str, ...]
) -> None:
    server.on("GET", PATH, body(FIRST, SECOND))

    result = cli(*words)

    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        f"attempt 1; trace {1:032x}",
        "http://viewer/1",
        "  +0 µs  12.3 ms  taskapi  POST /api/v1/tasks",
        "-2.0 ms   2.00 s  worker     wait in default",
        "+2.00 s   850 µs  worker     process default  ERROR no luck",
        "",
        f"attempt 2, linked to attempt 1; trace {2:032x}",
        "+0 µs  500.0 ms  coordinator  relay default",
        "12 more spans of the same trace are not shown",
    ]


def test_json_and_yaml_hold_the_servers_document(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", PATH, body(SECOND))

    as_json = json.loads(cli("trace", "5", "-o", "json").stdout)
    as_yaml = yaml.safe_load(cli("trace", "5", "-o", "yaml").stdout)

    assert as_json["traces"][0]["spans"][0]["links"][1]["attempt"] == 1
    assert (as_json["task_id"], as_json["source"], as_yaml["traces"][0]["attempts"]) == (5, "viewer", [2])


def test_trace_without_spans_says_so(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", PATH, body(trace()))

    result = cli("trace", "5")

    assert "not yet or no longer available" in result.stdout


def test_control_characters_in_spans_are_escaped(cli: RunCli, server: FakeTaskServer) -> None:
    odd = span(0, "\x1b[2J", "a\x1b[31m", "05", 1.0, status="error", status_message="\x07")
    server.on("GET", PATH, body(trace(odd)))

    result = cli("trace", "5")

    assert "\x1b" not in result.stdout
    assert "\x07" not in result.stdout


def test_unsampled_task_exits_1(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", PATH, problem(404, "trace_not_recorded", "Task 5 is not sampled."))

    result = cli("trace", "--id", "5")

    assert result.exit_code == 1
    assert "Task 5 is not sampled." in result.stderr


def test_task_shows_its_trace_link(cli: RunCli, server: FakeTaskServer, client: Client) -> None:
    server.on("GET", "/tasks/5", Answer(body=task_body(5, trace_id="ab", trace_url="http://viewer/ab")))

    result = cli("task", "get", "5")

    assert "http://viewer/ab" in result.stdout
    assert client.get(5).trace_id == "ab"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 µs"), (725, "12m05s"), (12_000, "3h20m"), (-65, "-1m05s"), (0.9999, "999.9 ms")]
)
def test_durations_are_formatted_in_a_fitting_unit(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
