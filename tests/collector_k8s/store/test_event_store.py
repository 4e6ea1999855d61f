"""Events, cursors and gaps are stored once, in one transaction, and only by the holder of the lease."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from collector_k8s.clock import monotonic_s
from collector_k8s.events.buffer_item import BufferItem
from collector_k8s.lease import Lease, LeaseLost
from collector_k8s.store.event_store import EventStore, StoreLimits
from tests.collector_k8s.database import acquire, query
from tests.collector_k8s.sample_events import NOON, event, items
from tests.collector_k8s.store.recording_hook import RecordingHook

HOUR = timedelta(hours=1)


def event_store(
    engine: Engine, lease: Lease, *, hook: RecordingHook | None = None, max_per_minute: int = 1_000
) -> EventStore:
    return EventStore(engine, "here", lease, StoreLimits(max_per_minute, HOUR), hook or RecordingHook())


def test_a_version_that_is_received_again_is_stored_once(engine: Engine, lease: Lease) -> None:
    store = event_store(engine, lease).store

    store(items(event("a", 1), event("a", 1)))
    store(items(event("a", 1)))
    store(items(event("a", 1), is_relist=True))

    assert query(engine, "SELECT cluster, uid, resource_version, is_current FROM k8s_event") == [
        ("here", "a", "1", True)
    ]


def test_the_newest_version_is_current_in_any_order(engine: Engine, lease: Lease) -> None:
    store = event_store(engine, lease).store

    store(items(event("a", 9, count=2)))
    store(items(event("a", 11, count=4), event("a", 10, count=3)))
    store(items(event("a", 8, count=1), event("a", 10, count=3), is_relist=True))

    stored = query(engine, "SELECT resource_version, is_current FROM k8s_event ORDER BY resource_version::int")
    assert stored == [("8", False), ("9", False), ("10", False), ("11", True)]


def test_an_event_that_goes_on_after_a_set_back_is_current_whatever_its_version(engine: Engine, lease: Lease) -> None:
    store = event_store(engine, lease).store
    store(items(event("a", 5, count=1), event("a", 9, count=5)))

    store([BufferItem("", monotonic_s(), gap_since=monotonic_s(), is_set_back=True), *items(event("a", 5, count=1))])
    store(items(event("a", 7, count=2)))
    store(items(event("a", 6, count=1), is_relist=True))

    stored = query(engine, "SELECT resource_version, is_current FROM k8s_event ORDER BY resource_version")
    assert stored == [("5", False), ("6", False), ("7", True), ("9", False)]


def test_the_cursor_is_the_position_of_the_last_item_of_its_scope(engine: Engine, lease: Lease) -> None:
    bookmark = BufferItem("shop", monotonic_s() - 50, position="90")

    event_store(engine, lease).store(
        [*items(event("a", 5), event("b", 7)), bookmark, *items(event("c", 99), is_relist=True)]
    )

    cursors = query(engine, "SELECT scope, resource_version, now() - seen_at > '40 s' FROM k8s_cursor ORDER BY scope")
    assert cursors == [("", "7", False), ("shop", "90", True)]


def test_a_former_leader_writes_nothing(engine: Engine) -> None:
    former = event_store(engine, acquire(engine, ttl_s=0.001))
    former.store(items(event("a", 1)))
    time.sleep(0.01)
    leader = event_store(engine, acquire(engine, ttl_s=60))

    with pytest.raises(LeaseLost):
        former.store(items(event("a", 2)))
    leader.store(items(event("a", 3)))

    assert query(engine, "SELECT resource_version FROM k8s_event ORDER BY id") == [("1",), ("3",)]
    assert query(engine, "SELECT resource_version FROM k8s_cursor") == [("3",)]


def test_the_cursor_does_not_move_when_storing_fails(engine: Engine, lease: Lease) -> None:
    store = event_store(engine, lease).store
    store(items(event("a", 1)))

    with pytest.raises(Exception, match=r"NUL|0x00|u0000"):
        store(items(event("b", 2), event("c", 3, message="\0")))

    assert query(engine, "SELECT uid FROM k8s_event") == [("a",)]
    assert query(engine, "SELECT resource_version FROM k8s_cursor") == [("1",)]


def test_the_hook_gets_new_current_versions_only(engine: Engine, lease: Lease) -> None:
    hook = RecordingHook()
    store = event_store(engine, lease, hook=hook).store

    store(items(event("a", 1), event("a", 2), event("b", 3)))
    store(items(event("a", 2), event("a", 1), is_relist=True))
    store(items(event("a", 4)))

    received = [(one.cluster, one.uid, one.resource_version) for one in hook.events]
    ids = query(engine, "SELECT id FROM k8s_event WHERE uid || resource_version IN ('a2', 'b3', 'a4') ORDER BY id")
    assert received == [("here", "a", "2"), ("here", "b", "3"), ("here", "a", "4")]
    assert [(one.id,) for one in hook.events] == ids
    assert hook.commits == 2


def test_a_failing_hook_does_not_keep_events_from_being_stored(engine: Engine, lease: Lease) -> None:
    hook = RecordingHook(error=ValueError("wrong"))

    event_store(engine, lease, hook=hook).store(items(event("a", 1)))

    assert query(engine, "SELECT uid FROM k8s_event") == [("a",)]
    assert query(engine, "SELECT name FROM setting") == []
    assert hook.commits == 0


def test_the_hook_is_called_for_the_other_events_when_one_fails(engine: Engine, lease: Lease) -> None:
    hook = RecordingHook(error=ValueError("wrong"), fails_at="c")

    event_store(engine, lease, hook=hook).store(items(*(event(uid, ord(uid)) for uid in "abcde")))

    assert [one.uid for one in hook.events] == ["a", "b", "d", "e"]
    assert query(engine, "SELECT count(*) FROM k8s_event") == [(5,)]
    assert query(engine, "SELECT name FROM setting") == []
    assert hook.commits == 1


def test_a_task_id_that_was_missing_is_filled_in_later(engine: Engine, lease: Lease) -> None:
    store = event_store(engine, lease).store
    store(items(event("a", 1), event("a", 2), replace(event("b", 3), task_id=4)))

    store(items(replace(event("a", 2), task_id=17), replace(event("b", 3), task_id=5), is_relist=True))
    store(items(event("a", 2), is_relist=True))

    rows = query(engine, "SELECT uid, resource_version, task_id FROM k8s_event ORDER BY resource_version")
    assert rows == [("a", "1", None), ("a", "2", 17), ("b", "3", 4)]


def test_events_above_the_rate_limit_are_counted_in_one_gap(engine: Engine, lease: Lease) -> None:
    store = event_store(engine, lease, max_per_minute=10).store
    events = [event(str(number), number) for number in range(1, 41)]

    for start in range(0, 40, 8):
        store(items(*events[start : start + 8]))
    store(items(*events, is_relist=True))

    gaps = query(engine, "SELECT kind, namespace, reason, count, from_at, until_at FROM k8s_gap")
    assert query(engine, "SELECT count(*) FROM k8s_event") == [(10,)]
    assert gaps == [("rate_limited", "shop", "BackOff", 30, NOON, NOON + timedelta(minutes=1))]
    assert query(engine, "SELECT resource_version FROM k8s_cursor") == [("40",)]


def test_lost_events_are_recorded_as_a_gap(engine: Engine, lease: Lease) -> None:
    end_of_list = BufferItem("shop", monotonic_s(), position="500", gap_since=monotonic_s() - 7_200)

    event_store(engine, lease).store([end_of_list])

    (gap,) = query(
        engine, "SELECT cluster, namespace, kind, count, extract(epoch FROM until_at - from_at) FROM k8s_gap"
    )
    assert gap[:4] == ("here", "shop", "lost", None)
    assert 7_200 <= gap[4] < 7_210
    assert query(engine, "SELECT resource_version FROM k8s_cursor") == [("500",)]


def test_clusters_are_independent(engine: Engine, lease: Lease) -> None:
    event_store(engine, lease).store(items(event("a", 1)))
    EventStore(engine, "there", lease, StoreLimits(10, HOUR), RecordingHook()).store(items(event("a", 1)))

    assert query(engine, "SELECT cluster, is_current FROM k8s_event ORDER BY 1") == [("here", True), ("there", True)]


def test_events_older_than_the_retention_are_not_stored(engine: Engine, lease: Lease) -> None:
    store = EventStore(engine, "here", lease, StoreLimits(1_000, HOUR, lambda: 600.0), RecordingHook())
    ((now,),) = query(engine, "SELECT now()")

    store.store(items(event("old", 1, at=NOON), event("new", 2, at=now)))

    assert query(engine, "SELECT uid FROM k8s_event") == [("new",)]
    assert query(engine, "SELECT resource_version FROM k8s_cursor") == [("2",)]


def test_every_field_of_an_event_is_stored(engine: Engine, lease: Lease) -> None:
    complete = replace(event("a", 1, count=3), task_id=17, involved_uid="p", first_at=NOON - timedelta(hours=1))

    event_store(engine, lease).store(items(complete))

    columns = "namespace, kind, name, reason, type, message, component, count, first_at, at, task_id"
    assert query(engine, f"SELECT {columns} FROM k8s_event") == [
        tuple(getattr(complete, column) for column in columns.split(", "))
    ]
