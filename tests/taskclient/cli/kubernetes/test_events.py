"""`task-cli events` and `event`: requests, output, and following."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.taskclient.bodies import event, gap, page
from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer


def test_events_sends_its_filters(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/events", page())

    result = cli(
        "events", "--namespace", "shop", "--namespace", "bank", "--kind", "Pod", "--name", "web-1", "--cluster", "home",
        "--reason", "BackOff", "--type", "Warning", "--since", "2030-01-02T03:04:05+02:00", "-q", "oom", "--limit", "5",
        "--before", "1.2",
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    assert server.requests[0].query == {
        "namespace": ["shop", "bank"],
        "kind": ["Pod"],
        "name": ["web-1"],
        "cluster": ["home"],
        "reason": ["BackOff"],
        "type": ["Warning"],
        "since": ["2030-01-02T03:04:05+02:00"],
        "q": ["oom"],
        "limit": ["5"],
        "before": ["1.2"],
    }


def test_page_of_events_shows_gaps_and_the_next_cursor(cli: RunCli, server: FakeTaskServer) -> None:
    flood = gap(kind="rate_limited", namespace="shop", reason="Failed", count=700)
    server.on("GET", "/events", page(event(7, count=4), gaps=[gap(), flood], next_before="5.6", has_more=True))

    table, as_json = cli("events"), cli("events", "-o", "json")

    lines = table.stdout.splitlines()
    assert lines[2].split() == [
        "7", "2030-01-02", "03:04:07Z", "Warning", "BackOff", "home/shop/Pod/web-1", "4", "message", "7",
    ]  # fmt: skip
    assert lines[-3:] == [
        "gap: events of home may be lost from 2030-01-02 03:04:00Z until 2030-01-02 03:04:01Z",
        "gap: 700 events Failed of home shop were only counted from 2030-01-02 03:04:00Z until 2030-01-02 03:04:01Z",
        "more: --before 5.6",
    ]
    assert json.loads(as_json.stdout)["next_before"] == "5.6"


@pytest.mark.parametrize(
    "args",
    [
        ("events", "--since", "yesterday"),
        ("events", "--since", "2030-01-02T03:04:05"),
        ("events", "--timeout", "3"),
        ("events", "--follow", "--before", "1.2"),
        ("alerts", "--follow", "--before", "1"),
        ("alert", "resolve"),
    ],
)
def test_contradictory_options_are_a_usage_error(cli: RunCli, args: tuple[str, ...]) -> None:
    assert cli(*args).exit_code == 2


def test_since_accepts_a_duration(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/events", page())

    assert cli("events", "--since", "7d").exit_code == 0

    assert server.requests[0].query["since"][0].endswith("+00:00")


def test_followed_events_are_printed_one_per_line(cli: RunCli, server: FakeTaskServer) -> None:
    noisy = event(5, count=2, message="a\x1b[31m\nb")
    server.on("GET", "/events", page(noisy, event(3, type="Normal", reason="Pulled"), gaps=[gap()]))

    result = cli("events", "--follow", "--timeout", "0")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        "gap: events of home may be lost from 2030-01-02 03:04:00Z until 2030-01-02 03:04:01Z",
        "2030-01-02 03:04:03Z  Normal   Pulled             home/shop/Pod/web-1: message 3",
        "2030-01-02 03:04:05Z  Warning  BackOff            home/shop/Pod/web-1 (x2): a\\x1b[31m",
    ]


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_followed_events_are_printed_as_documents(cli: RunCli, server: FakeTaskServer, form: str) -> None:
    server.on("GET", "/events", page(event(5), gaps=[gap()]))

    result = cli("events", "-f", "--timeout", "0", "-o", form)

    lines = result.stdout.splitlines()
    records = yaml.safe_load(result.stdout) if form == "yaml" else [json.loads(line) for line in lines]
    assert [(record["record"], record["kind"]) for record in records] == [("gap", "lost"), ("event", "Pod")]


def test_versions_are_read_to_the_last_page(cli: RunCli, server: FakeTaskServer) -> None:
    first, rest = {"items": [event(1)], "next_after": 1}, {"items": [event(4)], "next_after": None}
    server.on("GET", "/events/4/versions", Answer(200, first), Answer(200, rest))

    result = cli("event", "versions", "--id", "4")

    assert [request.query["after"] for request in server.requests] == [["0"], ["1"]]
    assert result.stdout.splitlines()[-1] == "total: 2"
