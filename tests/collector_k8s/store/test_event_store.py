"""What is stored is stored once, with how far it was read, and by nobody but who holds the lease."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from collector_k8s.clock import monotonic_s
from collector_k8s.events.event import StoredEvent
from collector_k8s.store.event_store import BufferItem, EventStore, Lease, LeaseLost, StoreLimits
from taskcore.db.engine import sync_engine
from taskcore.db.kubernetes.collector_leases import acquire_lease, create_lease
from tests.collector_k8s.sample_events import NOON, event, items

LEASE = {"lease": "k8s:here"}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = sync_engine(database_url, name="tests", pool_size=4)
    yield engine
    engine.dispose()


@pytest.fixture
def lease(engine: Engine) -> Lease:
    execute(engine, create_lease(), **LEASE)
    return taken(engine, ttl_s=60)


def taken(engine: Engine, ttl_s: float) -> Lease:
    ((epoch,),) = execute(engine, acquire_lease(), **LEASE, by="tests", ttl_s=ttl_s)
    return Lease("k8s:here", epoch)


def execute(engine: Engine, statement: Any, **parameters: Any) -> list[Any]:
    with engine.connect() as connection:
        answer = connection.execute(statement, parameters)
        return list(answer) if answer.returns_rows else []


def query(engine: Engine, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in execute(engine, text(sql))]


class Noting:
    """What follows of events, written down. `fault` is raised instead, where the event `at` is one of them."""

    def __init__(self, fault: Exception | None = None, at: str = "a") -> None:
        self.fault = fault
        self.at = at
        self.noted: list[StoredEvent] = []
        self.told = 0

    def on_stored(self, connection: Connection, events: Sequence[StoredEvent]) -> bool:
        connection.execute(text("INSERT INTO setting (name, value, changed_by) VALUES ('x', '1', 'tests')"))
        if self.fault is not None and self.at in {one.uid for one in events}:
            raise self.fault
        connection.execute(text("DELETE FROM setting"))
        self.noted.extend(events)
        return True

    def after_commit(self) -> None:
        self.told += 1

    def resolve_inactive(self, connection: Connection, cluster: str, scopes: Sequence[str]) -> bool:
        return False


def storage(engine: Engine, lease: Lease, *, follow_up: Noting | None = None, per_minute: int = 1_000) -> EventStore:
    return EventStore(engine, "here", lease, StoreLimits(per_minute, timedelta(hours=1)), follow_up or Noting())


def test_a_version_is_stored_once_however_often_it_comes(engine: Engine, lease: Lease) -> None:
    store = storage(engine, lease).store

    store(items(event("a", 1), event("a", 1)))
    store(items(event("a", 1)))
    store(items(event("a", 1), is_repeat=True))

    assert query(engine, "SELECT cluster, uid, resource_version, is_current FROM k8s_event") == [
        ("here", "a", "1", True)
    ]


def test_the_newest_version_is_current_in_whatever_order_they_come(engine: Engine, lease: Lease) -> None:
    store = storage(engine, lease).store

    store(items(event("a", 9, count=2)))
    store(items(event("a", 11, count=4), event("a", 10, count=3)))
    store(items(event("a", 8, count=1), event("a", 10, count=3), is_repeat=True))

    stored = query(engine, "SELECT resource_version, is_current FROM k8s_event ORDER BY resource_version::int")
    assert stored == [("8", False), ("9", False), ("10", False), ("11", True)]


def test_the_cursor_is_where_the_last_item_of_its_scope_was(engine: Engine, lease: Lease) -> None:
    store = storage(engine, lease).store
    bookmark = BufferItem("shop", monotonic_s() - 50, position="90")

    store([*items(event("a", 5), event("b", 7)), bookmark, *items(event("c", 99), is_repeat=True)])

    cursors = query(engine, "SELECT scope, resource_version, now() - seen_at > '40 s' FROM k8s_cursor ORDER BY scope")
    assert cursors == [("", "7", False), ("shop", "90", True)]


def test_an_old_epoch_writes_nothing(engine: Engine) -> None:
    execute(engine, create_lease(), **LEASE)
    old = storage(engine, taken(engine, ttl_s=0.001))
    old.store(items(event("a", 1)))
    time.sleep(0.01)
    new = storage(engine, taken(engine, ttl_s=60))

    with pytest.raises(LeaseLost):
        old.store(items(event("a", 2)))
    new.store(items(event("a", 3)))

    assert query(engine, "SELECT resource_version FROM k8s_event ORDER BY id") == [("1",), ("3",)]
    assert query(engine, "SELECT resource_version FROM k8s_cursor") == [("3",)]


def test_the_cursor_does_not_move_without_its_events(engine: Engine, lease: Lease) -> None:
    store = storage(engine, lease).store
    store(items(event("a", 1)))

    with pytest.raises(Exception, match=r"NUL|0x00|u0000"):
        store(items(event("b", 2), event("c", 3, message="\0")))

    assert query(engine, "SELECT uid FROM k8s_event") == [("a",)]
    assert query(engine, "SELECT resource_version FROM k8s_cursor") == [("1",)]


def test_what_follows_is_told_of_new_current_versions_only(engine: Engine, lease: Lease) -> None:
    follow_up = Noting()
    store = storage(engine, lease, follow_up=follow_up).store

    store(items(event("a", 1), event("a", 2), event("b", 3)))
    store(items(event("a", 2), event("a", 1), is_repeat=True))
    store(items(event("a", 4)))

    noted = [(one.cluster, one.uid, one.resource_version) for one in follow_up.noted]
    ids = query(engine, "SELECT id FROM k8s_event WHERE uid || resource_version IN ('a2', 'b3', 'a4') ORDER BY id")
    assert noted == [("here", "a", "2"), ("here", "b", "3"), ("here", "a", "4")]
    assert [(one.id,) for one in follow_up.noted] == ids
    assert follow_up.told == 2


def test_what_follows_cannot_keep_events_from_being_stored(engine: Engine, lease: Lease) -> None:
    follow_up = Noting(fault=ValueError("wrong"))

    storage(engine, lease, follow_up=follow_up).store(items(event("a", 1)))

    assert query(engine, "SELECT uid FROM k8s_event") == [("a",)]
    assert query(engine, "SELECT name FROM setting") == []
    assert follow_up.told == 0


def test_one_event_that_cannot_be_followed_up_keeps_no_other_from_it(engine: Engine, lease: Lease) -> None:
    follow_up = Noting(fault=ValueError("wrong"), at="c")

    storage(engine, lease, follow_up=follow_up).store(items(*(event(uid, ord(uid)) for uid in "abcde")))

    assert [one.uid for one in follow_up.noted] == ["a", "b", "d", "e"]
    assert query(engine, "SELECT count(*) FROM k8s_event") == [(5,)]
    assert query(engine, "SELECT name FROM setting") == []
    assert follow_up.told == 1


def test_a_task_that_was_not_known_when_an_event_was_stored_is_filled_in_when_it_comes_again(
    engine: Engine, lease: Lease
) -> None:
    store = storage(engine, lease).store
    store(items(event("a", 1), event("a", 2), replace(event("b", 3), task_id=4)))

    store(items(replace(event("a", 2), task_id=17), replace(event("b", 3), task_id=5), is_repeat=True))
    store(items(event("a", 2), is_repeat=True))

    rows = query(engine, "SELECT uid, resource_version, task_id FROM k8s_event ORDER BY resource_version")
    assert rows == [("a", "1", None), ("a", "2", 17), ("b", "3", 4)]


def test_a_flood_is_stored_up_to_the_limit_and_then_counted_in_one_row(engine: Engine, lease: Lease) -> None:
    store = storage(engine, lease, per_minute=10).store
    events = [event(str(number), number) for number in range(1, 41)]

    for begin in range(0, 40, 8):
        store(items(*events[begin : begin + 8]))
    store(items(*events, is_repeat=True))

    gaps = query(engine, "SELECT kind, namespace, reason, count, from_at, until_at FROM k8s_gap")
    assert query(engine, "SELECT count(*) FROM k8s_event") == [(10,)]
    assert gaps == [("rate_limited", "shop", "BackOff", 30, NOON, NOON + timedelta(minutes=1))]
    assert query(engine, "SELECT resource_version FROM k8s_cursor") == [("40",)]


def test_a_time_that_may_have_lost_events_is_a_gap(engine: Engine, lease: Lease) -> None:
    listed = BufferItem("shop", monotonic_s(), position="500", gap_since=monotonic_s() - 7_200)

    storage(engine, lease).store([listed])

    gap = query(engine, "SELECT cluster, namespace, kind, count, extract(epoch FROM until_at - from_at) FROM k8s_gap")
    assert gap[0][:4] == ("here", "shop", "lost", None)
    assert 7_200 <= gap[0][4] < 7_210
    assert query(engine, "SELECT resource_version FROM k8s_cursor") == [("500",)]


def test_clusters_do_not_know_of_each_other(engine: Engine, lease: Lease) -> None:
    storage(engine, lease).store(items(event("a", 1)))
    EventStore(engine, "there", lease, StoreLimits(10, timedelta(hours=1)), Noting()).store(items(event("a", 1)))

    assert query(engine, "SELECT cluster, is_current FROM k8s_event ORDER BY 1") == [("here", True), ("there", True)]


def test_every_member_of_an_event_is_stored(engine: Engine, lease: Lease) -> None:
    given = replace(event("a", 1, count=3), task_id=17, involved_uid="p", first_at=NOON - timedelta(hours=1))

    storage(engine, lease).store(items(given))

    columns = "namespace, kind, name, reason, type, message, component, count, first_at, at, task_id"
    assert query(engine, f"SELECT {columns} FROM k8s_event") == [
        tuple(getattr(given, column) for column in columns.split(", "))
    ]
