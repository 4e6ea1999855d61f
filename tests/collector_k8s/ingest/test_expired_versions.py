"""An expired version or page leads to a new list, and possible losses are recorded."""

from __future__ import annotations

import pytest

from harness.waiting import eventually
from tests.collector_k8s.collector_thread import StoredEvents, versions_of
from tests.collector_k8s.conftest import StartCollector
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import event
from tests.collector_k8s.fakes.responses import Response, error_response


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


def test_a_cluster_that_was_set_back_is_listed_at_once_and_leaves_a_gap(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    cluster.bookmark_interval_s = None
    start_collector(bookmark_interval_s=60)
    eventually(lambda: cluster.open_streams)
    (first,) = cluster.put(event("pod", count=1))
    backup = cluster.events.version
    events = [first, *cluster.put(event("pod", count=2)), *cluster.put(*(event(f"e{number}") for number in range(5)))]
    eventually(lambda: stored.has_all(events))

    cluster.events.set_back(backup)
    cluster.put(event("after"))
    cluster.cut_streams()
    eventually(lambda: "after" in stored.names())
    cluster.put(event("pod", count=4))

    eventually(lambda: stored.sql("SELECT 1 FROM k8s_event WHERE name = 'pod' AND is_current AND count = 4"))
    assert stored.position() == cluster.events.version
    assert stored.sql("SELECT count(*) FROM k8s_event WHERE is_current") == [{"count": 7}]
    (gap,) = stored.gaps()
    assert (gap["kind"], gap["namespace"]) == ("lost", "")


def test_a_set_back_while_the_collector_is_down_is_noticed(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    backup = cluster.events.version
    first = start_collector()
    events = cluster.put(event("one"), event("two"))
    eventually(lambda: stored.has_all(events))
    first.stop()
    cluster.events.set_back(backup)

    start_collector()

    eventually(lambda: stored.position() == backup)
    assert len(stored.gaps()) == 1


def test_a_server_that_answers_with_an_earlier_version_was_set_back(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    start_collector()
    eventually(lambda: cluster.open_streams)
    events = cluster.put(event("before"))
    eventually(lambda: stored.has_all(events))
    cluster.respond_next("check", Response(200, {"metadata": {"resourceVersion": "1"}, "items": []}))

    cluster.cut_streams()

    eventually(lambda: len(cluster.requests_of("list")) == 2)


def test_a_lagging_server_leaves_no_gap(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    cluster.respond_next("check", error_response(504, "Timeout: Too large resource version: 9, current: 5"))
    start_collector()
    eventually(lambda: cluster.open_streams)

    cluster.cut_streams()
    events = cluster.put(event("after"))

    eventually(lambda: stored.has_all(events))
    eventually(lambda: len(cluster.requests_of("list")) == 2)
    assert stored.gaps() == []


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
