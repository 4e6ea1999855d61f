"""`task-cli events`, `event`, `alerts`, `alert` and `task events`: requests, output, and following."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import yaml

from taskclient.client import Client
from taskclient.kubernetes.streams import AlertStream, EventStream, TaskEventStream, poll
from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, problem, task_body


def event(number: int, **members: Any) -> dict[str, Any]:
    return {
        "id": number,
        "cluster": "home",
        "uid": f"uid-{number}",
        "resource_version": str(number),
        "is_current": True,
        "namespace": "shop",
        "kind": "Pod",
        "name": "web-1",
        "reason": "BackOff",
        "type": "Warning",
        "message": f"message {number}",
        "component": "kubelet",
        "count": 1,
        "first_at": "2030-01-02T03:04:05Z",
        "at": f"2030-01-02T03:04:{number:02}Z",
        "task_id": None,
        "collected_at": "2030-01-02T03:04:05Z",
        "of_a_newer_server": 1,
    } | members


def gap(**members: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "cluster": "home",
        "namespace": "",
        "kind": "lost",
        "reason": None,
        "count": None,
        "from_at": "2030-01-02T03:04:00Z",
        "until_at": "2030-01-02T03:04:01Z",
    } | members


def alert(number: int, **members: Any) -> dict[str, Any]:
    return {
        "id": number,
        "rule": "warning",
        "cluster": "home",
        "namespace": "shop",
        "kind": "Pod",
        "name": "web-1",
        "reason": "BackOff",
        "type": "Warning",
        "message": "Back-off\nrestarting",
        "count": 3,
        "first_at": "2030-01-02T03:04:05Z",
        "last_at": "2030-01-02T03:04:06Z",
        "task_id": 17,
        "resolved_at": None,
        "resolved_by": None,
    } | members


def page(*items: dict[str, Any], **members: Any) -> Answer:
    body = {"items": list(items), "gaps": [], "next_before": None, "next_after": "9.1", "has_more": False}
    return Answer(200, body | members)


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


def test_event_stream_yields_each_event_once(client: Client, server: FakeTaskServer) -> None:
    server.on(
        "GET",
        "/events",
        page(event(5), event(3), gaps=[gap()], next_after="5.1"),
        page(event(6), next_after="6.1", has_more=True),
        page(event(8), next_after="9.2", gaps=[gap(id=2)]),
        page(next_after="9.2"),
    )
    stream = EventStream(client, type=("Warning",), count=2)

    reads = [[record.id for record in stream.read_new()] for _ in range(3)]

    assert reads == [[1, 3, 5], [6, 2, 8], []]
    assert [request.query.get("after") for request in server.requests] == [None, ["5.1"], ["6.1"], ["9.2"]]
    assert {request.query["type"][0] for request in server.requests} == {"Warning"}


def test_poll_reads_until_its_timeout() -> None:
    now, found = [0.0], iter(["ab", "", "c"])

    records = list(
        poll(
            lambda: iter(next(found)),
            timedelta(seconds=1.5),
            sleep=lambda seconds: now.__setitem__(0, now[0] + seconds),
            clock=lambda: now[0],
        )
    )

    assert (records, now) == (["a", "b", "c"], [1.5])


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


def test_alerts_are_listed_with_their_counts(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/alerts", page(alert(2), next_before="2"))

    table, every = cli("alerts", "--kind", "Pod"), cli("alerts", "--all", "--before", "7", "-o", "json")

    assert "Back-off" in table.stdout
    assert table.stdout.splitlines()[2].split()[:5] == ["2", "warning", "BackOff", "home/shop/Pod/web-1", "3"]
    assert table.stdout.splitlines()[-1] == "more: --before 2"
    assert [request.query["status"] for request in server.requests] == [["open"], ["all"]]
    assert (server.requests[0].query["kind"], server.requests[1].query["before"]) == (["Pod"], ["7"])
    assert json.loads(every.stdout)["items"][0]["id"] == 2


def test_alert_stream_yields_open_alerts_then_new_ones(client: Client, server: FakeTaskServer) -> None:
    server.on(
        "GET",
        "/alerts",
        page(alert(5), alert(3), next_after="5"),
        page(alert(6), next_after="6", has_more=True),
        page(alert(7), next_after="8"),
    )
    stream = AlertStream(client)

    reads = [[alert.id for alert in stream.read_new()] for _ in range(2)]

    assert reads == [[3, 5], [6, 7]]
    assert [request.query["status"] for request in server.requests] == [["open"], ["all"], ["all"]]
    assert [request.query.get("after") for request in server.requests] == [None, ["5"], ["6"]]


def test_followed_alert_is_printed_as_a_line(cli: RunCli, server: FakeTaskServer) -> None:
    resolved = alert(3, task_id=None, resolved_at="2030-01-02T03:04:07Z", resolved_by="inactivity")
    server.on("GET", "/alerts", page(alert(4), resolved))

    result = cli("alerts", "--follow", "--all", "--timeout", "0")

    assert result.stdout.splitlines() == [
        "2030-01-02 03:04:06Z  3 BackOff home/shop/Pod/web-1 (x3): Back-off [resolved by inactivity]",
        "2030-01-02 03:04:06Z  4 BackOff home/shop/Pod/web-1 (x3): Back-off [task 17]",
    ]


def test_resolve_shows_the_alert(cli: RunCli, server: FakeTaskServer) -> None:
    resolved = alert(4, resolved_at="2030-01-02T03:04:07Z", resolved_by="user:ann")
    server.on("POST", "/alerts/4/resolve", Answer(200, resolved), problem(409, "alert_resolved"))

    first, second = cli("alert", "resolve", "--id", "4"), cli("alert", "resolve", "--id", "4")

    assert "user:ann" in first.stdout
    assert (first.exit_code, second.exit_code) == (0, 1)


def test_task_events_are_listed_and_followed_until_the_task_has_finished(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/5", Answer(200, task_body(status="running")))
    server.on("GET", "/tasks/5/wait", Answer(200, task_body(status="failed")))
    server.on("GET", "/tasks/5/events", page(event(1), next_after=1), page(event(2), next_after=2))

    followed = cli("task", "events", "--id", "5", "--follow")
    listed = cli("t", "events", "5")

    assert followed.exit_code == 3
    assert [line[-9:] for line in followed.stdout.splitlines()] == ["message 1", "message 2"]
    assert listed.stdout.splitlines()[-1] == "total: 1"


def test_task_events_are_read_page_by_page(client: Client, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/5/events", page(event(1), next_after=1, has_more=True), page(event(2), next_after=2))
    stream = TaskEventStream(client, 5)

    assert [alert.id for alert in stream.read_new()] == [1, 2]
    assert [request.query.get("after") for request in server.requests] == [None, ["1"]]
