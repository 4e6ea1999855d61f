"""An expired version or page leads to a new list, and possible losses are recorded."""

from __future__ import annotations

import pytest

from harness.waiting import eventually
from tests.collector_k8s.collector_thread import StoredEvents, versions_of
from tests.collector_k8s.conftest import StartCollector
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import event
from tests.collector_k8s.fakes.responses import error_response


def test_an_expired_position_leads_to_a_list_without_duplicates(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    before = cluster.put(event("before"))
    first = start_collector()
    eventually(lambda: stored.has_all(before))
    first.stop()
    meanwhile = cluster.put(event("meanwhile"))
    cluster.events.forget_changes()

    start_collector()

    eventually(lambda: stored.has_all(meanwhile))
    assert stored.versions() == versions_of([*before, *meanwhile])
    assert len(cluster.requests_of("list")) == 2
    assert not stored.gaps()  # the outage was shorter than the lifetime of events


def test_a_watch_refused_with_410_leads_to_a_list(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    cluster.respond_next("watch", error_response(410))
    events = cluster.put(event("listed"))

    start_collector()
    eventually(lambda: cluster.open_streams)
    events += cluster.put(event("watched"))

    eventually(lambda: stored.has_all(events))
    assert len(cluster.requests_of("list")) == 2


@pytest.mark.parametrize("status", [410, 500])
def test_an_error_event_in_a_watch_is_handled(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents, status: int
) -> None:
    start_collector()
    eventually(lambda: cluster.open_streams)
    events = cluster.put(event("before"))
    eventually(lambda: stored.has_all(events))

    cluster.fail_streams(status)
    events += cluster.put(event("after"))

    eventually(lambda: stored.has_all(events))
    assert stored.versions() == versions_of(events)
    assert len(cluster.requests_of("list")) == (2 if status == 410 else 1)


def test_a_list_restarts_when_its_next_page_has_expired(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    cluster.respond_next("page", error_response(410))
    events = cluster.put(*(event(f"e{number}") for number in range(5)))

    start_collector(page_size=2)

    eventually(lambda: cluster.open_streams)
    eventually(lambda: stored.has_all(events))
    assert stored.versions() == versions_of(events)
    assert len(cluster.requests_of("list")) == 2


def test_a_gap_is_recorded_when_events_may_have_expired_unread(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    first = start_collector()
    eventually(stored.position)
    first.stop()
    (before,) = stored.sql("UPDATE k8s_cursor SET seen_at = now() - interval '2 hours' RETURNING seen_at")
    cluster.events.lose_events()

    start_collector()

    (gap,) = eventually(stored.gaps)
    assert (gap["kind"], gap["namespace"], gap["count"]) == ("lost", "", None)
    assert abs((gap["from_at"] - before["seen_at"]).total_seconds()) < 30
    assert gap["until_at"] > gap["from_at"]
    events = cluster.put(event("after"))
    eventually(lambda: stored.has_all(events))
    assert len(stored.gaps()) == 1
