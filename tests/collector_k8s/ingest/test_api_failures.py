"""Failures of the API server or the connection lose and duplicate nothing, and stale streams are reported."""

from __future__ import annotations

from collections import deque

import pytest

from harness.postgres import PostgresServer
from harness.waiting import eventually
from taskcore.db import migrations
from tests.collector_k8s.collector_thread import CollectorThread, StoredEvents, collector_settings, versions_of
from tests.collector_k8s.conftest import StartCollector
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import event
from tests.collector_k8s.fakes.responses import NO_ANSWER, RequestKind, Response, error_response


@pytest.mark.parametrize("rotation", range(3))
def test_failed_requests_are_retried(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents, rotation: int
) -> None:
    responses = deque([error_response(503), Response(200, "<html>Sign in"), NO_ANSWER])
    responses.rotate(rotation)
    kinds: tuple[RequestKind, ...] = ("list", "page", "watch")
    for kind, response in zip(kinds, responses, strict=True):
        cluster.respond_next(kind, response)
    events = cluster.put(event("one"), event("two"))

    start_collector(page_size=1, bookmark_interval_s=0.3)
    eventually(lambda: cluster.open_streams)
    events += cluster.put(event("three"))

    eventually(lambda: stored.has_all(events))
    assert stored.versions() == versions_of(events)
    assert all(len(cluster.requests_of(kind)) > 1 for kind in kinds)


@pytest.mark.parametrize("within_a_line", [False, True])
def test_a_broken_watch_resumes_from_its_position(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents, within_a_line: bool
) -> None:
    start_collector()
    eventually(lambda: cluster.open_streams)
    events = cluster.put(event("before"))

    cluster.cut_streams(within_a_line=within_a_line)
    events += cluster.put(event("meanwhile"))
    eventually(lambda: stored.has_all(events))

    assert stored.versions() == versions_of(events)
    assert len(cluster.requests_of("list")) == 1


def test_a_half_open_watch_is_replaced(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    collector = start_collector(bookmark_interval_s=0.6)
    eventually(lambda: collector.status.has_bookmarks(""))

    cluster.silence_streams()
    events = cluster.put(event("unseen"))

    eventually(lambda: stored.has_all(events))
    assert len(cluster.requests_of("list")) == 1


def test_a_quiet_cluster_without_bookmarks_is_relisted(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    cluster.bookmark_interval_s = None
    collector = start_collector(bookmark_interval_s=0.3)
    eventually(lambda: cluster.open_streams)

    cluster.put_unnoticed(event("unseen"))

    eventually(lambda: stored.names() == ["unseen"])
    eventually(lambda: len(cluster.requests_of("list")) > 2)
    eventually(collector.status.is_ready)
    assert stored.gaps() == []


def test_a_collector_with_a_stale_stream_is_not_ready(cluster: FakeCluster, start_collector: StartCollector) -> None:
    collector = start_collector(bookmark_interval_s=0.5)
    eventually(lambda: collector.status.has_bookmarks(""))

    cluster.respond_next("watch", *[NO_ANSWER] * 20)
    cluster.silence_streams()
    eventually(lambda: not collector.status.is_ready())
    assert collector.status.details()["stale"] is not None
    cluster.respond_normally()

    eventually(collector.status.is_ready)


def test_a_forbidden_namespace_is_reported_and_the_others_are_read(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    cluster.forbidden.add("shut")
    events = cluster.put(event("a", "open"))

    collector = start_collector(namespaces=("open", "shut"))

    eventually(lambda: stored.has_all(events))
    stale = eventually(lambda: collector.status.details().get("stale"))
    assert stale == {"shut": "events is forbidden in the namespace shut"}
    assert not collector.status.is_ready()

    cluster.forbidden.clear()
    events += cluster.put(event("b", "shut"))

    eventually(lambda: stored.has_all(events))
    eventually(collector.status.is_ready)


def test_the_collector_waits_for_an_unavailable_database(
    cluster: FakeCluster, private_postgres: PostgresServer
) -> None:
    migrations.upgrade(private_postgres.url)
    stored = StoredEvents(private_postgres.url)
    collector = CollectorThread(collector_settings(private_postgres.url, kubeconfig=cluster.kubeconfig))
    events = cluster.put(event("before"))
    eventually(lambda: stored.has_all(events))

    private_postgres.stop("immediate")
    events += cluster.put(event("meanwhile"))
    eventually(lambda: not collector.status.is_ready())
    private_postgres.start()

    eventually(lambda: stored.has_all(events))
    eventually(collector.status.is_ready)
    collector.stop()
    assert stored.versions() == versions_of(events)
    assert len(cluster.requests_of("list")) == 1


def test_the_end_of_a_watch_is_a_sign_of_life(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    cluster.bookmark_interval_s = None
    collector = start_collector(bookmark_interval_s=1)
    seen_at = eventually(lambda: stored.sql("SELECT seen_at FROM k8s_cursor"))

    eventually(lambda: len(cluster.requests_of("watch")) > 2)

    eventually(lambda: stored.sql("SELECT 1 FROM k8s_cursor WHERE seen_at > %s", seen_at[0]["seen_at"]))
    eventually(collector.status.is_ready)
    assert len(cluster.requests_of("list")) == 1


def test_retry_after_is_respected(cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents) -> None:
    cluster.respond_next("list", error_response(429, retry_after=2))
    events = cluster.put(event("later"))

    start_collector()

    eventually(lambda: stored.has_all(events))
    first, second = (request.at for request in cluster.requests_of("list"))
    assert second - first >= 1.9


def test_an_expired_token_is_replaced(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    start_collector()
    eventually(lambda: cluster.open_streams)

    cluster.expire_token()
    cluster.cut_streams()
    eventually(lambda: cluster.requests_of("check"))
    cluster.renew_token()
    events = cluster.put(event("after"))

    eventually(lambda: stored.has_all(events))
    assert len(cluster.requests_of("list")) == 1


def test_reading_resumes_after_an_outage_of_the_cluster(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents
) -> None:
    collector = start_collector()
    events = cluster.put(event("before"))
    eventually(lambda: stored.has_all(events))

    cluster.stop()
    events += cluster.put(event("meanwhile"))
    cluster.start()

    eventually(lambda: stored.has_all(events))
    assert stored.versions() == versions_of(events)
    assert collector.is_running
