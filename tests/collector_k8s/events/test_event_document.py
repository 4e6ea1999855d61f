"""Events of both API groups are parsed into one shape, and malformed ones are refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from collector_k8s.events.event_document import MalformedEvent, parse_event, task_id_of
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

EVENTS_GROUP: dict[str, Any] = {
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


def raw(**changes: Any) -> bytes:
    document = {**CORE, **changes}
    return json.dumps({key: value for key, value in document.items() if value != "absent"}).encode()


def hour(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 1, hour, minute, tzinfo=UTC)


def test_both_api_groups_give_the_same_event() -> None:
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
def test_the_most_specific_time_is_used(times: dict[str, Any], expected: datetime) -> None:
    event = parse_event(raw(**times), NOON)

    assert abs(event.at - expected) < timedelta(seconds=1)
    assert event.first_at <= event.at


def test_an_event_without_any_time_is_from_now() -> None:
    metadata = {key: value for key, value in CORE["metadata"].items() if key != "creationTimestamp"}

    event = parse_event(raw(metadata=metadata, firstTimestamp=None, lastTimestamp=None), NOON)

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
def test_the_count_of_a_series_takes_precedence(counts: dict[str, Any], expected: int) -> None:
    assert parse_event(raw(**counts), NOON).count == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"metadata": {"uid": "u-1"}}',
        b'{"metadata": {"uid": "", "resourceVersion": "5"}}',
        raw(metadata={"uid": 5, "resourceVersion": "5"}),
        raw(lastTimestamp="yesterday"),
        raw(count="seven"),
    ],
)
def test_malformed_events_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedEvent):
        parse_event(body, NOON)


def test_optional_fields_may_be_missing() -> None:
    event = parse_event(
        b'{"metadata": {"uid": "u", "resourceVersion": "5"}, "source": null, "involvedObject": {}}', NOON
    )

    assert (event.type, event.reason, event.message, event.namespace, event.name) == ("Normal", "", "", "", "")


def test_texts_are_cleaned_for_the_database() -> None:
    event = parse_event(raw(message="a\0b" + "x" * 100_000), NOON)

    assert "\0" not in event.message
    assert len(event.message) < 20_000


def test_names_are_cut_to_the_limit_of_the_index() -> None:
    event = parse_event(raw(reason="r" * 10_000, involvedObject={"kind": "k" * 10_000, "name": "\0" * 10_000}), NOON)

    assert max(map(len, (event.reason, event.kind, event.name))) == 256
    with pytest.raises(MalformedEvent):
        parse_event(raw(metadata={"uid": "u" * 10_000, "resourceVersion": "5"}), NOON)


@pytest.mark.parametrize(
    ("label", "expected"),
    [("17", 17), ("0", None), ("-1", None), ("", None), ("17a", None), ("٣", None), ("9" * 19, None), ("9" * 30, None)],
)
def test_the_task_id_is_read_from_the_label(label: str, expected: int | None) -> None:
    assert task_id_of({"taskcore.io/task-id": label}) == expected
