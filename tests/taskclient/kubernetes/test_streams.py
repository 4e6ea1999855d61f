"""Streams of Kubernetes events and alerts."""

from __future__ import annotations

from datetime import timedelta

from taskclient.client import Client
from taskclient.kubernetes.streams import alert_stream, event_stream, poll, task_event_stream
from tests.taskclient.bodies import alert, event, gap, page
from tests.taskclient.fake_task_server import FakeTaskServer


def test_event_stream_yields_each_event_once(client: Client, server: FakeTaskServer) -> None:
    server.on(
        "GET",
        "/events",
        page(event(5), event(3), gaps=[gap()], next_after="5.1"),
        page(event(6), next_after="6.1", has_more=True),
        page(event(8), next_after="9.2", gaps=[gap(id=2)]),
        page(next_after="9.2"),
    )
    stream = event_stream(client, type=("Warning",), count=2)

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


def test_alert_stream_yields_open_alerts_then_new_ones(client: Client, server: FakeTaskServer) -> None:
    server.on(
        "GET",
        "/alerts",
        page(alert(5), alert(3), next_after="5"),
        page(alert(6), next_after="6", has_more=True),
        page(alert(7), next_after="8"),
    )
    stream = alert_stream(client)

    reads = [[alert.id for alert in stream.read_new()] for _ in range(2)]

    assert reads == [[3, 5], [6, 7]]
    assert [request.query["status"] for request in server.requests] == [["open"], ["all"], ["all"]]
    assert [request.query.get("after") for request in server.requests] == [None, ["5"], ["6"]]


def test_task_events_are_read_page_by_page(client: Client, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/5/events", page(event(1), next_after=1, has_more=True), page(event(2), next_after=2))
    stream = task_event_stream(client, 5)

    assert [alert.id for alert in stream.read_new()] == [1, 2]
    assert [request.query.get("after") for request in server.requests] == [None, ["1"]]
