"""`task-cli alerts` and `alert`: requests, output, and following."""

from __future__ import annotations

import json

from tests.taskclient.bodies import alert, page
from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, problem


def test_alerts_are_listed_with_their_counts(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/alerts", page(alert(2), next_before="2"))

    table, every = cli("alerts", "--kind", "Pod"), cli("alerts", "--all", "--before", "7", "-o", "json")

    assert "Back-off" in table.stdout
    assert table.stdout.splitlines()[2].split()[:5] == ["2", "warning", "BackOff", "home/shop/Pod/web-1", "3"]
    assert table.stdout.splitlines()[-1] == "more: --before 2"
    assert [request.query["status"] for request in server.requests] == [["open"], ["all"]]
    assert (server.requests[0].query["kind"], server.requests[1].query["before"]) == (["Pod"], ["7"])
    assert json.loads(every.stdout)["items"][0]["id"] == 2


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
