"""Both API groups' events become one shape; what cannot be read is told from what can."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from collector_k8s.events.event import MalformedEvent, is_newer, parse_event, task_id_of
from tests.collector_k8s.sample_events import NOON

CORE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {
        "name": "web-1.17a",
        "namespace": "shop",
        "uid": "u-1",
        "resourceVersion": "4711",
        "creationTimestamp": "2026-03-01T10:00:00Z",
    },
    "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "p-1"},
    "reason": "BackOff",
    "message": "Back-off restarting failed container",
    "source": {"component": "kubelet", "host": "node-1"},
    "firstTimestamp": "2026-03-01T10:00:00Z",
    "lastTimestamp": "2026-03-01T10:05:00Z",
    "count": 7,
    "type": "Warning",
    "eventTime": None,
    "reportingComponent": "",
    "reportingInstance": "",
}

EVENTS_GROUP = {
    "apiVersion": "events.k8s.io/v1",
    "kind": "Event",
    "metadata": CORE["metadata"],
    "regarding": CORE["involvedObject"],
    "reason": "BackOff",
    "note": CORE["message"],
    "deprecatedSource": CORE["source"],
    "deprecatedFirstTimestamp": CORE["firstTimestamp"],
    "deprecatedLastTimestamp": CORE["lastTimestamp"],
    "deprecatedCount": 7,
    "type": "Warning",
    "eventTime": None,
}


def made(**changes: Any) -> bytes:
    given = {**CORE, **changes}
    return json.dumps({key: value for key, value in given.items() if value != "absent"}).encode()


def hour(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 1, hour, minute, tzinfo=UTC)


def test_both_shapes_of_an_event_are_the_same_event() -> None:
    core = parse_event(json.dumps(CORE).encode(), NOON)
    other = parse_event(json.dumps(EVENTS_GROUP).encode(), NOON)

    assert core == other
    assert (core.kind, core.name, core.component, core.count) == ("Pod", "web-1", "kubelet", 7)
    assert (core.first_at, core.at) == (hour(10), hour(10, 5))


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({}, hour(10, 5)),
        ({"series": {"count": 9, "lastObservedTime": "2026-03-01T11:00:00.123456Z"}}, hour(11)),
        ({"series": {"count": 9}}, hour(10, 5)),
        ({"lastTimestamp": None, "eventTime": "2026-03-01T10:02:00.000001Z"}, hour(10, 2)),
        ({"lastTimestamp": None, "firstTimestamp": None}, hour(10)),
        ({"lastTimestamp": "absent", "firstTimestamp": "absent", "eventTime": "absent"}, hour(10)),
    ],
)
def test_the_time_of_an_event_is_the_first_that_is_there(times: dict[str, Any], expected: datetime) -> None:
    event = parse_event(made(**times), NOON)

    assert abs(event.at - expected) < timedelta(seconds=1)
    assert event.first_at <= event.at


def test_an_event_without_any_time_is_of_when_it_came() -> None:
    metadata = {key: value for key, value in CORE["metadata"].items() if key != "creationTimestamp"}

    event = parse_event(made(metadata=metadata, firstTimestamp=None, lastTimestamp=None), NOON)

    assert (event.first_at, event.at) == (NOON, NOON)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, 7),
        ({"count": None}, 1),
        ({"count": 0}, 1),
        ({"series": {"count": 12}}, 12),
        ({"count": None, "deprecatedCount": 3}, 3),
        ({"count": 2, "series": None}, 2),
    ],
)
def test_the_count_of_an_event_is_that_of_its_series_first(counts: dict[str, Any], expected: int) -> None:
    assert parse_event(made(**counts), NOON).count == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"metadata": {"uid": "u-1"}}',
        b'{"metadata": {"uid": "", "resourceVersion": "5"}}',
        made(metadata={"uid": 5, "resourceVersion": "5"}),
        made(lastTimestamp="yesterday"),
        made(count="seven"),
    ],
)
def test_what_is_not_an_event_is_said_to_be_unreadable(raw: bytes) -> None:
    with pytest.raises(MalformedEvent):
        parse_event(raw, NOON)


def test_an_event_with_next_to_nothing_in_it_is_read() -> None:
    event = parse_event(
        b'{"metadata": {"uid": "u", "resourceVersion": "5"}, "source": null, "involvedObject": {}}', NOON
    )

    assert (event.type, event.reason, event.message, event.namespace, event.name) == ("Normal", "", "", "", "")


def test_text_is_what_the_database_can_keep() -> None:
    event = parse_event(made(message="a\0b" + "x" * 100_000), NOON)

    assert "\0" not in event.message
    assert len(event.message) < 20_000


def test_names_are_no_longer_than_an_index_takes() -> None:
    event = parse_event(made(reason="r" * 10_000, involvedObject={"kind": "k" * 10_000, "name": "\0" * 10_000}), NOON)

    assert max(map(len, (event.reason, event.kind, event.name))) == 256
    with pytest.raises(MalformedEvent):
        parse_event(made(metadata={"uid": "u" * 10_000, "resourceVersion": "5"}), NOON)


@pytest.mark.parametrize(
    ("label", "expected"),
    [("17", 17), ("0", None), ("-1", None), ("", None), ("17a", None), ("٣", None), ("9" * 19, None), ("9" * 30, None)],
)
def test_the_task_of_an_event_is_the_number_in_its_label(label: str, expected: int | None) -> None:
    assert task_id_of({"taskcore.io/task-id": label}) == expected


def test_versions_are_compared_as_numbers() -> None:
    assert is_newer("10", "9")
    assert not is_newer("9", "10")
    assert not is_newer("9", "9")
