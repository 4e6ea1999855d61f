"""`task-cli analytics …`: the requests, the tables and the chart."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from taskclient.cli.analytics.chart import BAR_WIDTH, bar, format_number
from taskclient.cli.parsing import parse_duration
from taskclient.client import Client
from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, problem

SERIES = [
    {"labels": {"status": "failed"}, "points": [["2026-03-01T00:00:00Z", 1], ["2026-03-04T00:00:00Z", 0]]},
    {
        "labels": {"status": "queued", "type": "no\u001bop"},
        "points": [["2026-03-01T00:00:00Z", 16], ["2026-03-02T00:00:00Z", 8.25]],
    },
]


def answer(series: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "metric": "tasks",
        "unit": "",
        "kind": "gauge",
        "from": "2026-03-01T00:00:00Z",
        "to": "2026-03-31T00:00:00Z",
        "bucket_s": 86_400,
        "aggregation": "avg",
        "across": None,
        "series": SERIES if series is None else series,
        "of_a_newer_server": 1,
    } | fields


def test_metrics_are_listed_with_their_labels(cli: RunCli, server: FakeTaskServer) -> None:
    metric = {
        "name": "tasks",
        "description": "Tasks by status",
        "unit": "",
        "kind": "gauge",
        "labels": ["status", "type"],
        "series": 12,
        "first_at": "2026-03-01T00:00:00Z",
        "last_at": None,
    }
    server.on("GET", "/analytics/metrics", Answer(200, {"items": [metric]}))

    table, as_json = cli("analytics", "metrics"), cli("analytics", "ls", "-o", "json")

    assert "status, type" in table.stdout
    assert table.stdout.splitlines()[-1] == "total: 1"
    assert json.loads(as_json.stdout)["items"] == [metric]


def test_show_sends_the_given_options(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/analytics", Answer(200, answer()))

    results = [
        cli("analytics", "show", "tasks"),
        cli(
            "analytics", "show", "tasks", "--since", "2026-03-01T00:00:00+01:00", "--until", "2026-03-02T00:00:00Z",
            "--bucket", "1.5h", "--label", "type=noop", "--label", "queue=a=b", "--group-by", "status",
            "--aggregation", "last", "--across", "max",
        ),
        cli("analytics", "show", "tasks", "--total"),
    ]  # fmt: skip

    assert [result.exit_code for result in results] == [0, 0, 0]
    assert [request.query for request in server.requests[:2]] == [
        {"metric": ["tasks"]},
        {
            "metric": ["tasks"],
            "from": ["2026-03-01T00:00:00+01:00"],
            "to": ["2026-03-02T00:00:00+00:00"],
            "bucket": ["5400"],
            "label": ["type=noop", "queue=a=b"],
            "group_by": ["status"],
            "aggregation": ["last"],
            "across": ["max"],
        },
    ]
    assert server.requests[2].query == {"metric": ["tasks"], "group_by": [""]}


def test_since_accepts_a_duration(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/analytics", Answer(200, answer()))

    cli("analytics", "show", "tasks", "--since", "90d")

    since = datetime.fromisoformat(server.requests[0].query["from"][0])
    assert timedelta(0) <= datetime.now(UTC) - since - timedelta(days=90) < timedelta(minutes=5)


def test_show_prints_one_row_per_value(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/analytics", Answer(200, answer()))

    lines = cli("analytics", "show", "tasks").stdout.splitlines()

    assert lines[0] == "tasks, avg of each 1d: 2026-03-01 to 2026-03-31"
    assert lines[1].split() == ["AT", "STATUS", "TYPE", "VALUE"]
    assert lines[3].split() == ["2026-03-01", "00:00:00Z", "failed", "-", "1"]
    assert lines[-2].split() == ["2026-03-02", "00:00:00Z", "queued", "no\\x1bop", "8.25"]
    assert lines[-1] == "total: 4"


def test_json_is_the_servers_document(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/analytics", Answer(200, answer()))

    shown = json.loads(cli("analytics", "show", "tasks", "--chart", "-o", "json").stdout)

    assert (shown["from"], shown["series"][0]) == ("2026-03-01T00:00:00Z", SERIES[0])


def test_chart_has_one_bar_per_bucket_on_one_scale(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/analytics", Answer(200, answer()))

    lines = cli("analytics", "show", "tasks", "--chart").stdout.splitlines()

    assert lines == [
        "tasks, avg of each 1d: 2026-03-01 to 2026-03-31",
        "",
        "status=failed",
        "  2026-03-01  1  ██▌",
        "  ⋮",
        "  2026-03-04  0",
        "",
        "status=queued, type=no\\x1bop",
        f"  2026-03-01    16  {'█' * BAR_WIDTH}",
        f"  2026-03-02  8.25  {'█' * 20}▋",
    ]


def test_chart_heading_names_times_unit_and_merge(cli: RunCli, server: FakeTaskServer) -> None:
    series = [{"labels": {}, "points": [["2026-03-01T02:30:00+02:00", -5]]}]
    body = answer(series, unit="seconds", bucket_s=1800, across="max")
    server.on("GET", "/analytics", Answer(200, body), Answer(200, answer([])))

    lines = cli("analytics", "show", "tasks", "--chart").stdout.splitlines()
    nothing = cli("analytics", "show", "tasks", "--chart")

    assert lines[0].startswith("tasks in seconds, avg of each 30m, max across series: 2026-03-01 00:00:00Z to ")
    assert lines[2:] == ["all", f"  2026-03-01 00:30:00Z  -5  {'█' * BAR_WIDTH}"]
    assert nothing.exit_code == 0


def test_bars_and_numbers_are_formatted() -> None:
    assert [bar(value, 40) for value in (40, 20, 0.5, 0.0001, 0)] == ["█" * 40, "█" * 20, "▌", "▏", ""]
    assert bar(0, 0) == ""
    assert [format_number(value) for value in (3.0, 1e6, 0.33333, 1234.56, 2e15, -2.5)] == [
        "3", "1000000", "0.3333", "1234.6", "2000000000000000.0", "-2.5",
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("7d", 604_800)])
def test_duration_is_whole_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "0s", "0.5s", "-1h", "1w", "1.0001s", "9" * 400 + "d"])
def test_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole seconds"):
        parse_duration(text)


def test_exclusive_options_and_refused_requests_say_so(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/analytics", problem(404, "metric_not_found", "There is no metric 'taskz'."))

    both = cli("analytics", "show", "tasks", "--total", "--group-by", "type")
    unknown = cli("analytics", "show", "taskz")

    assert (both.exit_code, unknown.exit_code) == (2, 1)
    assert "There is no metric 'taskz'." in unknown.stderr


def test_client_returns_times_and_numbers(client: Client, server: FakeTaskServer) -> None:
    server.on("GET", "/analytics", Answer(200, answer()))

    got = client.analytics("tasks", group_by=["status"])

    assert got.from_ == datetime(2026, 3, 1, tzinfo=UTC)
    assert got.series[1].points[1] == (datetime(2026, 3, 2, tzinfo=UTC), 8.25)
