"""The fake cluster does what it is told to, as the official client sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError, ReadTimeoutError

from harness.waiting import eventually
from tests.collector_k8s.fakes.cluster import FakeCluster, names
from tests.collector_k8s.fakes.event_json import CORE_V1, EVENTS_V1, event
from tests.collector_k8s.fakes.official_client import OfficialClient
from tests.collector_k8s.fakes.responses import HANG_UP, NO_ANSWER, RequestKind, error_response


@pytest.fixture(params=[CORE_V1, EVENTS_V1])
def asker(cluster: FakeCluster, request: pytest.FixtureRequest) -> Iterator[OfficialClient]:
    asker = OfficialClient(cluster.kubeconfig, request.param)
    yield asker
    asker.close()


def test_a_list_comes_in_pages_of_one_version(cluster: FakeCluster, asker: OfficialClient) -> None:
    cluster.put(*(event(f"e{number}") for number in range(5)))

    first = asker.list(limit=2)
    cluster.put(event("e9"))
    second = asker.list(limit=2, _continue=first["metadata"]["continue"])
    third = asker.list(limit=2, _continue=second["metadata"]["continue"])

    assert [names(page["items"]) for page in (first, second, third)] == [["e0", "e1"], ["e2", "e3"], ["e4"]]
    assert len({page["metadata"]["resourceVersion"] for page in (first, second, third)}) == 1
    assert "continue" not in third["metadata"]


def test_a_watch_tells_what_happened_after_the_list_and_what_happens(
    cluster: FakeCluster, asker: OfficialClient
) -> None:
    cluster.put(event("before"))
    version = asker.list()["metadata"]["resourceVersion"]
    (meanwhile,) = cluster.put(event("meanwhile"))

    with asker.watch(resource_version=version) as stream:
        told = [next(stream)]
        cluster.put(event("meanwhile", count=2))
        cluster.delete(meanwhile)
        told += [next(stream), next(stream)]

    assert [change["type"] for change in told] == ["ADDED", "MODIFIED", "DELETED"]
    assert {change["object"]["metadata"]["uid"] for change in told} == {meanwhile["metadata"]["uid"]}
    versions = [int(change["object"]["metadata"]["resourceVersion"]) for change in told]
    assert versions == sorted(set(versions))


def test_bookmarks_are_sent_to_those_who_want_them_at_the_latest_when_a_watch_ends(
    cluster: FakeCluster, asker: OfficialClient
) -> None:
    cluster.bookmark_interval_s = 0.05
    wanted: dict[str, Any] = {"resource_version": str(cluster.store.version), "timeout_seconds": 1}

    with asker.watch(allow_watch_bookmarks=True, **wanted) as stream, asker.watch(**wanted) as without:
        told = list(stream)
        assert not list(without)

    assert len(told) > 2
    assert {(change["type"], change["object"]["metadata"]["resourceVersion"]) for change in told} == {
        ("BOOKMARK", str(cluster.store.version))
    }


def test_a_watch_from_what_is_forgotten_and_a_page_that_is_expired_are_gone(
    cluster: FakeCluster, asker: OfficialClient
) -> None:
    cluster.put(*(event(f"e{number}") for number in range(5)))
    page = asker.list(limit=2)

    cluster.store.forget_changes()

    with asker.watch(resource_version=page["metadata"]["resourceVersion"]) as stream:
        assert [(change["type"], change["object"]["code"]) for change in stream] == [("ERROR", 410)]
    with pytest.raises(ApiException) as refused:
        asker.list(limit=2, _continue=page["metadata"]["continue"])
    assert refused.value.status == 410
    assert len(asker.list()["items"]) == 5


@pytest.mark.parametrize("ask", ["list", "watch"])
def test_requests_are_refused_as_told_and_then_answered(
    cluster: FakeCluster, asker: OfficialClient, ask: RequestKind
) -> None:
    cluster.respond_next(ask, error_response(429, retry_after=7), error_response(503), error_response(410))

    refusals = []
    for _ in range(3):
        with pytest.raises(ApiException) as refused:
            _ask(asker, ask)
        refusals.append((refused.value.status, (refused.value.headers or {}).get("Retry-After")))

    assert refusals == [(429, "7"), (503, None), (410, None)]
    _ask(asker, ask)
    assert len(cluster.requests_of(ask)) == 4


def test_connections_are_cut_and_kept_silent_as_told(cluster: FakeCluster, asker: OfficialClient) -> None:
    cluster.respond_next("list", HANG_UP, NO_ANSWER)

    with pytest.raises((MaxRetryError, ProtocolError)):
        asker.list()
    with pytest.raises((MaxRetryError, ReadTimeoutError)):
        asker.list(_request_timeout=0.2)

    assert not asker.list()["items"]


@pytest.mark.parametrize("within_a_line", [False, True])
def test_a_watch_is_cut(cluster: FakeCluster, asker: OfficialClient, within_a_line: bool) -> None:
    with asker.watch(resource_version=str(cluster.store.version)) as stream:
        eventually(lambda: cluster.open_streams)
        cluster.put(event("told"))
        assert next(stream)["object"]["metadata"]["name"] == "told"

        cluster.cut_streams(within_a_line=within_a_line)

        with pytest.raises(ProtocolError):
            next(stream)
    assert not cluster.open_streams


def test_a_silent_watch_stays_open_and_tells_nothing(cluster: FakeCluster, asker: OfficialClient) -> None:
    with asker.watch(resource_version=str(cluster.store.version), read_timeout_s=0.5) as stream:
        eventually(lambda: cluster.open_streams)
        cluster.silence_streams()
        cluster.put(event("unheard"))

        with pytest.raises(ReadTimeoutError):
            next(stream)


def test_a_watch_is_told_an_error_and_ends(cluster: FakeCluster, asker: OfficialClient) -> None:
    with asker.watch(resource_version=str(cluster.store.version)) as stream:
        eventually(lambda: cluster.open_streams)
        cluster.fail_streams(410)

        assert [change["object"]["reason"] for change in stream] == ["Expired"]


def test_an_expired_token_is_refused_until_the_new_one_is_read(cluster: FakeCluster, asker: OfficialClient) -> None:
    asker.list()

    cluster.expire_token()
    with pytest.raises(ApiException) as refused:
        asker.list()
    cluster.renew_token()

    assert refused.value.status == 401
    renewed = OfficialClient(cluster.kubeconfig)
    assert not renewed.list()["items"]
    renewed.close()


def test_what_no_watch_was_told_of_is_in_the_list(cluster: FakeCluster, asker: OfficialClient) -> None:
    with asker.watch(resource_version=str(cluster.store.version)) as stream:
        cluster.put_unnoticed(event("unseen"))
        cluster.put(event("seen"))

        assert next(stream)["object"]["metadata"]["name"] == "seen"
    assert names(asker.list()["items"]) == ["seen", "unseen"]


def test_a_cluster_that_was_away_is_there_again_at_the_same_address(
    cluster: FakeCluster, asker: OfficialClient
) -> None:
    cluster.put(event("kept"))
    with asker.watch(resource_version=str(cluster.store.version)) as stream:
        eventually(lambda: cluster.open_streams)
        cluster.stop()
        with pytest.raises(HTTPError):
            next(stream)
    with pytest.raises(HTTPError):
        asker.list()

    cluster.start()

    assert names(asker.list()["items"]) == ["kept"]


def _ask(asker: OfficialClient, ask: RequestKind) -> None:
    if ask == "list":
        asker.list()
    else:
        with asker.watch():
            return
