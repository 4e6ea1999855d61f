"""What happens in a cluster is stored, each version once: listed in pages, then watched, from where it was left."""

from __future__ import annotations

import pytest

from harness.waiting import eventually
from tests.collector_k8s.collector_thread import StoredEvents, versions_of
from tests.collector_k8s.conftest import StartCollector
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import CORE_V1, EVENTS_V1, event


@pytest.mark.parametrize("api", [CORE_V1, EVENTS_V1])
def test_what_there_is_and_what_happens_is_stored_and_what_is_deleted_stays(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents, api: str
) -> None:
    before = cluster.put(*(event(f"e{number}") for number in range(5)))

    collect(api=api, page_size=2)
    eventually(lambda: cluster.open_streams)
    happened = cluster.put(event("e0", count=7), event("new", reason="Killing", message="Stopping container"))
    cluster.delete(*before)
    (last,) = cluster.put(event("last"))

    eventually(lambda: collected.has_all([last]))
    assert collected.versions() == versions_of([*before, *happened, last])
    assert len(cluster.requests_of("list")) == 1
    assert len(cluster.requests_of("page")) == 2
    current = collected.sql("SELECT name, count, reason, message, component FROM k8s_event WHERE is_current ORDER BY 1")
    assert [row["name"] for row in current] == ["e0", "e1", "e2", "e3", "e4", "last", "new"]
    assert (current[0]["count"], current[0]["component"]) == (7, "kubelet")
    assert (current[-1]["reason"], current[-1]["message"]) == ("Killing", "Stopping container")


def test_a_collector_that_was_stopped_goes_on_where_it_was_without_a_list(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    before = cluster.put(event("before"))
    first = collect()
    eventually(lambda: collected.has_all(before))
    first.stop()
    meanwhile = cluster.put(event("meanwhile"), event("before", count=2))

    collect()

    eventually(lambda: collected.has_all(meanwhile))
    assert collected.versions() == versions_of([*before, *meanwhile])
    assert len(cluster.requests_of("list")) == 1


def test_bookmarks_move_the_position_where_nothing_happens(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    collect()
    eventually(lambda: cluster.open_streams)

    cluster.store.forget_changes()  # much has happened, though not to events

    eventually(lambda: collected.position() == cluster.store.version)
    assert len(cluster.requests_of("list")) == 1


def test_a_list_beside_the_watch_finds_what_the_watch_was_not_told(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    cluster.bookmark_interval_s = None
    collect(relist_interval_s=0.5, bookmark_interval_s=60)
    eventually(lambda: cluster.open_streams)
    (seen,) = cluster.put(event("seen"))

    unseen = cluster.put_unnoticed(event("unseen"))

    eventually(lambda: collected.has_all(unseen))
    eventually(lambda: collected.has_all([seen]))
    assert len(cluster.requests_of("watch")) == 1
    assert collected.position() < cluster.store.version
    assert not collected.gaps()


def test_only_chosen_namespaces_fields_and_reasons_are_collected(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    collect(namespaces=("one", "two"), field_selector="type=Warning", reasons=("Failed", "BackOff"))
    eventually(lambda: len(cluster.open_streams) == 2)

    wrong = {"type": "Warning", "reason": "Failed"}
    cluster.put(event("a", "three", **wrong), event("b", "one", reason="Failed"))
    cluster.put(event("c", "one", type="Warning", reason="Unhealthy"))
    wanted = cluster.put(event("d", "one", **wrong), event("e", "two", type="Warning", reason="BackOff"))

    eventually(lambda: collected.has_all(wanted))
    eventually(lambda: min(collected.position("one"), collected.position("two")) == cluster.store.version)
    assert collected.names() == ["d", "e"]
    assert {request.path for request in cluster.requests_of("list")} == {
        "/api/v1/namespaces/one/events",
        "/api/v1/namespaces/two/events",
    }


def test_events_carry_the_task_that_they_or_their_pods_are_labelled_with(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    cluster.label_pod("default", "by-pod", **{"taskcore.io/task-id": "17"})
    collect(read_pods=True)
    eventually(lambda: cluster.open_streams)
    labelled = event("by-event", labels={"taskcore.io/task-id": "18"})

    events = cluster.put(labelled, event("by-pod"), event("by-pod", count=2), event("no-such-pod"))

    eventually(lambda: collected.has_all(events))
    tasks = collected.sql("SELECT name, task_id FROM k8s_event WHERE is_current ORDER BY name")
    assert [tuple(row.values()) for row in tasks] == [("by-event", 18), ("by-pod", 17), ("no-such-pod", None)]
    assert sum(request.path.endswith("/pods/by-pod") for request in cluster.requests_of("other")) == 1


def test_a_flood_is_counted_and_the_rest_is_stored(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    collect(max_events_per_minute=10)
    eventually(lambda: cluster.open_streams)

    cluster.put(*(event(f"flood-{number}", reason="BackOff") for number in range(200)))
    others = cluster.put(*(event(f"other-{number}", "elsewhere", reason="BackOff") for number in range(10)))

    eventually(lambda: collected.has_all(others))
    stored = sum(name.startswith("rate_limited") for name in collected.names())
    gaps = collected.gaps()
    assert stored + sum(gap["count"] for gap in gaps) == 200
    assert stored in (10, 20)  # 20 where a minute began meanwhile
    assert {(gap["kind"], gap["namespace"], gap["reason"]) for gap in gaps} == {("rate_limited", "default", "BackOff")}
