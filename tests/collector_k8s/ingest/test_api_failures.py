"""Whatever the way to a cluster does, nothing is missed, nothing is stored twice, and who hears nothing says so."""

from __future__ import annotations

from collections import deque

import pytest

from harness.postgres import PostgresServer
from harness.waiting import eventually
from taskcore.db import migrations
from tests.collector_k8s.collector_thread import CollectorThread, StoredEvents, versions_of
from tests.collector_k8s.conftest import StartCollector
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import event
from tests.collector_k8s.fakes.responses import NO_ANSWER, RequestKind, Response, error_response


@pytest.mark.parametrize("turn", range(3))
def test_what_is_refused_or_not_answered_is_asked_again(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents, turn: int
) -> None:
    answers = deque([error_response(503), Response(200, "<html>Sign in"), NO_ANSWER])
    answers.rotate(turn)
    asks: tuple[RequestKind, ...] = ("list", "page", "watch")
    for ask, answer in zip(asks, answers, strict=True):
        cluster.respond_next(ask, answer)
    events = cluster.put(event("one"), event("two"))

    collect(page_size=1, bookmark_interval_s=0.3)
    eventually(lambda: cluster.open_streams)
    events += cluster.put(event("three"))

    eventually(lambda: collected.has_all(events))
    assert collected.versions() == versions_of(events)
    assert all(len(cluster.requests_of(ask)) > 1 for ask in asks)


@pytest.mark.parametrize("within_a_line", [False, True])
def test_a_watch_that_is_cut_goes_on_where_it_was(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents, within_a_line: bool
) -> None:
    collect()
    eventually(lambda: cluster.open_streams)
    events = cluster.put(event("before"))

    cluster.cut_streams(within_a_line=within_a_line)
    events += cluster.put(event("meanwhile"))
    eventually(lambda: collected.has_all(events))

    assert collected.versions() == versions_of(events)
    assert len(cluster.requests_of("list")) == 1


def test_a_watch_that_is_half_open_is_given_up(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    collecting = collect(bookmark_interval_s=0.6)
    eventually(lambda: collecting.status.has_bookmarks(""))

    cluster.silence_streams()
    events = cluster.put(event("unheard"))

    eventually(lambda: collected.has_all(events))
    assert len(cluster.requests_of("list")) == 1


def test_a_quiet_cluster_that_sends_no_bookmarks_is_listed(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    cluster.bookmark_interval_s = None
    collecting = collect(bookmark_interval_s=0.3)
    eventually(lambda: cluster.open_streams)

    cluster.put_unnoticed(event("unheard"))

    eventually(lambda: collected.names() == ["unheard"])
    eventually(lambda: len(cluster.requests_of("list")) > 2)
    eventually(collecting.status.is_ready)
    assert collected.gaps() == []


def test_a_collector_that_hears_nothing_is_not_ready_until_it_does(
    cluster: FakeCluster, collect: StartCollector
) -> None:
    collecting = collect(bookmark_interval_s=0.5)
    eventually(lambda: collecting.status.has_bookmarks(""))

    cluster.respond_next("watch", *[NO_ANSWER] * 20)
    cluster.silence_streams()
    eventually(lambda: not collecting.status.is_ready())
    stale = collecting.status.details()["deaf"]
    assert isinstance(stale, dict)
    assert list(stale) == ["all namespaces"]
    cluster.respond_normally()

    eventually(collecting.status.is_ready)


def test_a_namespace_that_may_not_be_read_is_named_and_keeps_no_other_from_being_read(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    cluster.forbidden.add("shut")
    events = cluster.put(event("a", "open"))

    collecting = collect(namespaces=("open", "shut"))

    eventually(lambda: collected.has_all(events))
    told = eventually(lambda: collecting.status.details().get("deaf"))
    assert told == {"shut": "events is forbidden in the namespace shut"}
    assert not collecting.status.is_ready()

    cluster.forbidden.clear()
    events += cluster.put(event("b", "shut"))

    eventually(lambda: collected.has_all(events))
    eventually(collecting.status.is_ready)


def test_a_database_that_is_away_is_waited_for(cluster: FakeCluster, private_postgres: PostgresServer) -> None:
    migrations.upgrade(private_postgres.url)
    collected = StoredEvents(private_postgres.url)
    collecting = CollectorThread(private_postgres.url, kubeconfig=cluster.kubeconfig)
    events = cluster.put(event("before"))
    eventually(lambda: collected.has_all(events))

    private_postgres.stop("immediate")
    events += cluster.put(event("meanwhile"))
    eventually(lambda: not collecting.status.is_ready())
    private_postgres.start()

    eventually(lambda: collected.has_all(events))
    eventually(collecting.status.is_ready)
    collecting.stop()
    assert collected.versions() == versions_of(events)
    assert len(cluster.requests_of("list")) == 1


def test_a_cluster_in_which_nothing_happens_and_that_sends_no_bookmarks_is_heard_all_the_same(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    cluster.bookmark_interval_s = None
    collecting = collect(bookmark_interval_s=1)
    seen_at = eventually(lambda: collected.sql("SELECT seen_at FROM k8s_cursor"))

    eventually(lambda: len(cluster.requests_of("watch")) > 2)

    eventually(lambda: collected.sql("SELECT seen_at FROM k8s_cursor")[0]["seen_at"] > seen_at[0]["seen_at"])
    eventually(collecting.status.is_ready)
    assert len(cluster.requests_of("list")) == 1


def test_a_cluster_that_asks_for_time_is_given_it(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    cluster.respond_next("list", error_response(429, retry_after=2))
    events = cluster.put(event("later"))

    collect()

    eventually(lambda: collected.has_all(events))
    asked_at = [request.at for request in cluster.requests_of("list")]
    assert asked_at[1] - asked_at[0] >= 1.9


def test_a_new_token_is_read_when_the_old_one_has_expired(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    collect()
    eventually(lambda: cluster.open_streams)
    refused = len(cluster.requests_of("watch"))

    cluster.expire_token()
    cluster.cut_streams()
    eventually(lambda: len(cluster.requests_of("watch")) > refused)
    cluster.renew_token()
    events = cluster.put(event("after"))

    eventually(lambda: collected.has_all(events))
    assert len(cluster.requests_of("list")) == 1


def test_a_cluster_that_was_away_is_gone_on_with(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents
) -> None:
    collecting = collect()
    events = cluster.put(event("before"))
    eventually(lambda: collected.has_all(events))

    cluster.stop()
    events += cluster.put(event("meanwhile"))
    cluster.start()

    eventually(lambda: collected.has_all(events))
    assert collected.versions() == versions_of(events)
    assert collecting.is_running
