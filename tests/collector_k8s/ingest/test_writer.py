"""The writer: what was read gets into the database, whatever one of its events may be like."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import cycle
from typing import Any

import pytest
from sqlalchemy import Engine

from collector_k8s.health import CollectorStatus
from collector_k8s.ingest.buffer import EventBuffer, Stopped
from collector_k8s.ingest.writer import EventWriter
from collector_k8s.store.event_store import EventStore, Lease, StoreLimits
from harness.waiting import eventually
from tests.collector_k8s.sample_events import NOON, event, items
from tests.collector_k8s.store.test_event_store import Noting, engine, lease, query

__all__ = ["engine", "lease"]


@pytest.fixture
def over() -> Iterator[threading.Event]:
    over = threading.Event()
    yield over
    over.set()


def writing(engine: Engine, lease: Lease, buffer: EventBuffer, over: threading.Event) -> threading.Thread:
    status = CollectorStatus("here", 60)
    storage = EventStore(engine, "here", lease, StoreLimits(1_000, timedelta(hours=1)), Noting())
    thread = threading.Thread(target=EventWriter("here", buffer, storage, ("",), status, over).run)
    thread.start()
    return thread


#: Not compressible, or it would fit.
TOO_LONG = "".join(chr(33 + (number * number) % 5_077) for number in range(9_000))


@pytest.mark.parametrize("bad", [{"message": "\0"}, {"namespace": TOO_LONG}])
def test_an_event_that_cannot_be_stored_keeps_no_other_back(
    engine: Engine, lease: Lease, over: threading.Event, bad: dict[str, Any]
) -> None:
    buffer = EventBuffer(100, over)
    events = [event(str(number), number, **bad if number == 7 else {}) for number in range(1, 21)]
    for item in items(*events):
        buffer.put(item)

    thread = writing(engine, lease, buffer, over)

    eventually(lambda: query(engine, "SELECT resource_version FROM k8s_cursor") == [("20",)])
    stored = {uid for (uid,) in query(engine, "SELECT uid FROM k8s_event")}
    assert stored == {str(number) for number in range(1, 21)} - {"7"}
    over.set()
    thread.join()


def test_who_reads_faster_than_is_written_waits(over: threading.Event) -> None:
    buffer, ended = EventBuffer(2, over), threading.Event()

    def put() -> None:
        with suppress(Stopped):
            for item in cycle(items(event("a"))):
                buffer.put(item)
        ended.set()

    reading = threading.Thread(target=put)
    reading.start()

    eventually(lambda: len(buffer.take(1)) == 1)
    assert len(buffer.take(100)) <= 3
    over.set()
    reading.join()
    assert ended.is_set()


def test_what_retention_would_delete_is_not_stored(engine: Engine, lease: Lease) -> None:
    limits = StoreLimits(1_000, timedelta(hours=1), lambda: 600.0)
    storage = EventStore(engine, "here", lease, limits, Noting())
    ((now,),) = query(engine, "SELECT now()")

    storage.store(items(event("old", 1, at=NOON), event("new", 2, at=now)))

    assert query(engine, "SELECT uid FROM k8s_event") == [("new",)]
    assert query(engine, "SELECT resource_version FROM k8s_cursor") == [("2",)]
