"""Events are listed in pages and then watched, from the stored position, and each version is stored once."""

from __future__ import annotations

import pytest

from collector_k8s.ingest.reflector import relist_wait_s
from harness.waiting import eventually
from tests.collector_k8s.collector_thread import StoredEvents, versions_of
from tests.collector_k8s.conftest import StartCollector
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import CORE_V1, EVENTS_V1, event


@pytest.mark.parametrize("api", [CORE_V1, EVENTS_V1])
def test_listed_and_watched_events_are_stored_and_survive_deletion(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents, api: str
) -> None:
    before = cluster.put(*(event(f"e{number}") for number in range(5)))

    start_collector(api=api, page_size=2)
    eventually(lambda: cluster.open_streams)
    changed = cluster.put(event("e0", count=7), event("new", reason="Killing", message="Stopping container"))
    cluster.delete(*before)
    (last,) = cluster.put(event("last"))

    eventually(lambda: stored.has_all([last]))
    assert stored.versions() == versions_of([*before, *changed, last])
    assert len(cluster.requests_of("list")) == 1
    assert len(cluster.requests_of("page")) == 2
    current = stored.sql("SELECT name, count, reason, message, component FROM k8s_event WHERE is_current ORDER BY 1")
    assert [row["name"] for row in current] == ["e0", "e1", "e2", "e3", "e4", "last", "new"]
    assert (current[0]["count"], current[0]["component"]) == (7, "kubelet")
    assert (current[-1]["reason"], current[-1]["message"]) == ("Killing", "Stopping container")


def test_a_restarted_collector_resumes_without_a_list(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    before = cluster.put(event("before"))
    first = start_collector()
    eventually(lambda: stored.has_all(before))
    first.stop()
    meanwhile = cluster.put(event("meanwhile"), event("before", count=2))

    start_collector()

    eventually(lambda: stored.has_all(meanwhile))
    assert stored.versions() == versions_of([*before, *meanwhile])
    assert len(cluster.requests_of("list")) == 1


def test_bookmarks_move_the_position(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    start_collector()
    eventually(lambda: cluster.open_streams)

    cluster.events.forget_changes()  # other objects than events have changed

    eventually(lambda: stored.position() == cluster.events.version)
    assert len(cluster.requests_of("list")) == 1


def test_a_relist_finds_events_that_the_watch_missed(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    cluster.bookmark_interval_s = None
    start_collector(relist_interval_s=0.5, bookmark_interval_s=60)
    eventually(lambda: cluster.open_streams)
    (seen,) = cluster.put(event("seen"))

    unseen = cluster.put_unnoticed(event("unseen"))

    eventually(lambda: stored.has_all(unseen))
    eventually(lambda: stored.has_all([seen]))
    assert len(cluster.requests_of("watch")) == 1
    assert stored.position() < cluster.events.version
    assert not stored.gaps()


def test_relists_can_be_turned_off(cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents) -> None:
    start_collector(relist_interval_s=None)

    events = cluster.put(event("watched"))

    eventually(lambda: stored.has_all(events))


def test_relists_take_a_twentieth_of_the_time_at_most() -> None:
    assert relist_wait_s(300, lasted_s=2) == 300
    assert relist_wait_s(300, lasted_s=60) / (60 + relist_wait_s(300, lasted_s=60)) == 0.95


def test_an_unreadable_event_does_not_hide_the_others(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    listed = cluster.put(event("surrogate", message="half of a pair: \ud83d"), event("listed"))
    cluster.put(event("no-zone", lastTimestamp="2026-03-01T10:05:00"))
    start_collector()
    eventually(lambda: stored.has_all(listed))

    cluster.put(event("never", firstTimestamp="0001-01-01T00:00:00+14:00"))
    watched = cluster.put(event("nul", message="\0 \ud83d"), event("watched"))

    eventually(lambda: stored.has_all(watched))
    assert stored.names() == ["listed", "nul", "surrogate", "watched"]
    assert len(cluster.requests_of("list")) == 1


def test_namespaces_field_selector_and_reasons_limit_what_is_stored(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    start_collector(namespaces=("one", "two"), field_selector="type=Warning", reasons=("Failed", "BackOff"))
    eventually(lambda: len(cluster.open_streams) == 2)

    wrong = {"type": "Warning", "reason": "Failed"}
    cluster.put(event("a", "three", **wrong), event("b", "one", reason="Failed"))
    cluster.put(event("c", "one", type="Warning", reason="Unhealthy"))
    wanted = cluster.put(event("d", "one", **wrong), event("e", "two", type="Warning", reason="BackOff"))

    eventually(lambda: stored.has_all(wanted))
    eventually(lambda: min(stored.position("one"), stored.position("two")) == cluster.events.version)
    assert stored.names() == ["d", "e"]
    assert {request.path for request in cluster.requests_of("list")} == {
        "/api/v1/namespaces/one/events",
        "/api/v1/namespaces/two/events",
    }


def test_events_have_the_task_in_their_own_or_their_pods_label(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    cluster.label_pod("default", "by-pod", **{"taskcore.io/task-id": "17"})
    start_collector(read_pods=True)
    eventually(lambda: cluster.open_streams)
    labelled = event("by-event", labels={"taskcore.io/task-id": "18"})

    events = cluster.put(labelled, event("by-pod"), event("by-pod", message="again"), event("no-such-pod"))

    eventually(lambda: stored.has_all(events))
    tasks = stored.sql("SELECT name, task_id FROM k8s_event WHERE is_current ORDER BY name")
    assert [tuple(row.values()) for row in tasks] == [("by-event", 18), ("by-pod", 17), ("no-such-pod", None)]
    assert sum(request.path.endswith("/pods/by-pod") for request in cluster.requests_of("other")) == 1


def test_events_above_the_rate_limit_are_counted(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    start_collector(max_events_per_minute=10)
    eventually(lambda: cluster.open_streams)

    cluster.put(*(event(f"burst-{number}", reason="BackOff") for number in range(200)))
    others = cluster.put(*(event(f"other-{number}", "elsewhere", reason="BackOff") for number in range(10)))

    eventually(lambda: stored.has_all(others))
    admitted = sum(name.startswith("burst") for name in stored.names())
    gaps = stored.gaps()
    assert admitted + sum(gap["count"] for gap in gaps) == 200
    assert admitted in (10, 20)  # 20 when a new minute started in between
    assert {(gap["kind"], gap["namespace"], gap["reason"]) for gap in gaps} == {("rate_limited", "default", "BackOff")}
