"""A cluster does not know any more what it is asked for: it is listed anew, and what may be lost is said."""

from __future__ import annotations

import pytest

from harness.waiting import eventually
from tests.collector_k8s.collector_thread import StoredEvents, versions_of
from tests.collector_k8s.conftest import StartCollector
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import event
from tests.collector_k8s.fakes.responses import error_response


def test_what_goes_on_is_not_stored_twice_when_the_watch_finds_its_position_gone(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    before = cluster.put(event("before"))
    first = collect()
    eventually(lambda: collected.has_all(before))
    first.stop()
    meanwhile = cluster.put(event("meanwhile"))
    cluster.store.forget_changes()

    collect()

    eventually(lambda: collected.has_all(meanwhile))
    assert collected.versions() == versions_of([*before, *meanwhile])
    assert len(cluster.requests_of("list")) == 2
    assert not collected.gaps()  # the cluster has them longer than it was not heard


def test_a_watch_that_is_refused_as_gone_lists_anew(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    cluster.respond_next("watch", error_response(410))
    events = cluster.put(event("listed"))

    collect()
    eventually(lambda: cluster.open_streams)
    events += cluster.put(event("watched"))

    eventually(lambda: collected.has_all(events))
    assert len(cluster.requests_of("list")) == 2


@pytest.mark.parametrize("status", [410, 500])
def test_an_error_in_the_stream_is_survived(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents, status: int
) -> None:
    collect()
    eventually(lambda: cluster.open_streams)
    events = cluster.put(event("before"))
    eventually(lambda: collected.has_all(events))

    cluster.fail_streams(status)
    events += cluster.put(event("after"))

    eventually(lambda: collected.has_all(events))
    assert collected.versions() == versions_of(events)
    assert len(cluster.requests_of("list")) == (2 if status == 410 else 1)


def test_a_list_is_begun_again_when_its_next_page_is_gone(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    cluster.respond_next("page", error_response(410))
    events = cluster.put(*(event(f"e{number}") for number in range(5)))

    collect(page_size=2)

    eventually(lambda: cluster.open_streams)
    eventually(lambda: collected.has_all(events))
    assert collected.versions() == versions_of(events)
    assert len(cluster.requests_of("list")) == 2


def test_a_gap_is_noted_when_the_cluster_may_have_dropped_events_unheard(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    first = collect()
    eventually(collected.position)
    first.stop()
    (before,) = collected.sql("UPDATE k8s_cursor SET seen_at = now() - interval '2 hours' RETURNING seen_at")
    cluster.store.lose_events()

    collect()

    (gap,) = eventually(collected.gaps)
    assert (gap["kind"], gap["namespace"], gap["count"]) == ("lost", "", None)
    assert abs((gap["from_at"] - before["seen_at"]).total_seconds()) < 30
    assert gap["until_at"] > gap["from_at"]
    events = cluster.put(event("after"))
    eventually(lambda: collected.has_all(events))
    assert len(collected.gaps()) == 1
