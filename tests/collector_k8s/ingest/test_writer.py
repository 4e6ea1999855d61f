"""The writer stores what the buffer holds, whatever a single event is like."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from collector_k8s.events.buffer_item import BufferItem
from collector_k8s.health import CollectorStatus
from collector_k8s.ingest.buffer import EventBuffer
from collector_k8s.ingest.writer import EventWriter, split_at_set_back
from collector_k8s.lease import Lease
from collector_k8s.store.event_store import EventStore, StoreLimits
from harness.waiting import eventually
from tests.collector_k8s.database import query
from tests.collector_k8s.sample_events import event, items
from tests.collector_k8s.store.recording_hook import RecordingHook


@pytest.fixture
def stopped() -> Iterator[threading.Event]:
    stopped = threading.Event()
    yield stopped
    stopped.set()


def test_what_was_read_before_a_set_back_is_stored_before() -> None:
    set_back = BufferItem("", 0, is_set_back=True)
    one, two, three = items(event("a", 1), event("b", 2), event("c", 3))

    assert list(split_at_set_back([one, two, set_back, three])) == [[one, two], [set_back, three]]
    assert list(split_at_set_back([set_back, one])) == [[set_back, one]]
    assert list(split_at_set_back([one])) == [[one]]


def start_writer(engine: Engine, lease: Lease, buffer: EventBuffer, stopped: threading.Event) -> threading.Thread:
    status = CollectorStatus("here", 60)
    store = EventStore(engine, "here", lease, StoreLimits(1_000, timedelta(hours=1)), RecordingHook())
    thread = threading.Thread(target=EventWriter("here", buffer, store, ("",), status, stopped).run)
    thread.start()
    return thread


#: Not compressible, so that it exceeds the size of an index entry.
TOO_LONG = "".join(chr(33 + (number * number) % 5_077) for number in range(9_000))


@pytest.mark.parametrize("bad", [{"message": "\0"}, {"namespace": TOO_LONG}])
def test_an_event_that_the_database_rejects_does_not_block_the_others(
    engine: Engine, lease: Lease, stopped: threading.Event, bad: dict[str, Any]
) -> None:
    buffer = EventBuffer(100, stopped)
    events = [event(str(number), number, **bad if number == 7 else {}) for number in range(1, 21)]
    for item in items(*events):
        buffer.put(item)

    thread = start_writer(engine, lease, buffer, stopped)

    eventually(lambda: query(engine, "SELECT resource_version FROM k8s_cursor") == [("20",)])
    stored = {uid for (uid,) in query(engine, "SELECT uid FROM k8s_event")}
    assert stored == {str(number) for number in range(1, 21)} - {"7"}
    stopped.set()
    thread.join()
