"""The fake cluster behaves like an API server, and as tests demand, for the official client."""

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
def client(cluster: FakeCluster, request: pytest.FixtureRequest) -> Iterator[OfficialClient]:
    client = OfficialClient(cluster.kubeconfig, request.param)
    yield client
    client.close()


def test_all_pages_of_a_list_have_one_version(cluster: FakeCluster, client: OfficialClient) -> None:
    cluster.put(*(event(f"e{number}") for number in range(5)))

    first = client.list(limit=2)
    cluster.put(event("e9"))
    second = client.list(limit=2, _continue=first["metadata"]["continue"])
    third = client.list(limit=2, _continue=second["metadata"]["continue"])

    assert [names(page["items"]) for page in (first, second, third)] == [["e0", "e1"], ["e2", "e3"], ["e4"]]
    assert len({page["metadata"]["resourceVersion"] for page in (first, second, third)}) == 1
    assert "continue" not in third["metadata"]


def test_a_watch_delivers_past_and_new_changes(cluster: FakeCluster, client: OfficialClient) -> None:
    cluster.put(event("before"))
    version = client.list()["metadata"]["resourceVersion"]
    (meanwhile,) = cluster.put(event("meanwhile"))

    with client.watch(resource_version=version) as stream:
        changes = [next(stream)]
        cluster.put(event("meanwhile", count=2))
        cluster.delete(meanwhile)
        changes += [next(stream), next(stream)]

    assert [change["type"] for change in changes] == ["ADDED", "MODIFIED", "DELETED"]
    assert {change["object"]["metadata"]["uid"] for change in changes} == {meanwhile["metadata"]["uid"]}
    versions = [int(change["object"]["metadata"]["resourceVersion"]) for change in changes]
    assert versions == sorted(set(versions))


def test_bookmarks_are_sent_on_request(cluster: FakeCluster, client: OfficialClient) -> None:
    cluster.bookmark_interval_s = 0.05
    query: dict[str, Any] = {"resource_version": str(cluster.events.version), "timeout_seconds": 1}

    with client.watch(allow_watch_bookmarks=True, **query) as stream, client.watch(**query) as without:
        changes = list(stream)
        assert not list(without)

    assert len(changes) > 2
    assert {(change["type"], change["object"]["metadata"]["resourceVersion"]) for change in changes} == {
        ("BOOKMARK", str(cluster.events.version))
    }


def test_forgotten_versions_and_pages_give_410(cluster: FakeCluster, client: OfficialClient) -> None:
    cluster.put(*(event(f"e{number}") for number in range(5)))
    page = client.list(limit=2)

    cluster.events.forget_changes()

    with client.watch(resource_version=page["metadata"]["resourceVersion"]) as stream:
        assert [(change["type"], change["object"]["code"]) for change in stream] == [("ERROR", 410)]
    with pytest.raises(ApiException) as refused:
        client.list(limit=2, _continue=page["metadata"]["continue"])
    assert refused.value.status == 410
    assert len(client.list()["items"]) == 5


@pytest.mark.parametrize("kind", ["list", "watch"])
def test_scripted_errors_are_returned_once(cluster: FakeCluster, client: OfficialClient, kind: RequestKind) -> None:
    cluster.respond_next(kind, error_response(429, retry_after=7), error_response(503), error_response(410))

    refusals = []
    for _ in range(3):
        with pytest.raises(ApiException) as refused:
            _send_request(client, kind)
        refusals.append((refused.value.status, (refused.value.headers or {}).get("Retry-After")))

    assert refusals == [(429, "7"), (503, None), (410, None)]
    _send_request(client, kind)
    assert len(cluster.requests_of(kind)) == 4


def test_scripted_connections_hang_up_or_never_answer(cluster: FakeCluster, client: OfficialClient) -> None:
    cluster.respond_next("list", HANG_UP, NO_ANSWER)

    with pytest.raises((MaxRetryError, ProtocolError)):
        client.list()
    with pytest.raises((MaxRetryError, ReadTimeoutError)):
        client.list(_request_timeout=0.2)

    assert not client.list()["items"]


@pytest.mark.parametrize("within_a_line", [False, True])
def test_a_watch_can_be_cut(cluster: FakeCluster, client: OfficialClient, within_a_line: bool) -> None:
    with client.watch(resource_version=str(cluster.events.version)) as stream:
        eventually(lambda: cluster.open_streams)
        cluster.put(event("delivered"))
        assert next(stream)["object"]["metadata"]["name"] == "delivered"

        cluster.cut_streams(within_a_line=within_a_line)

        with pytest.raises(ProtocolError):
            next(stream)
    assert not cluster.open_streams


def test_a_silenced_watch_stays_open(cluster: FakeCluster, client: OfficialClient) -> None:
    with client.watch(resource_version=str(cluster.events.version), read_timeout_s=0.5) as stream:
        eventually(lambda: cluster.open_streams)
        cluster.silence_streams()
        cluster.put(event("undelivered"))

        with pytest.raises(ReadTimeoutError):
            next(stream)


def test_a_watch_can_end_with_an_error(cluster: FakeCluster, client: OfficialClient) -> None:
    with client.watch(resource_version=str(cluster.events.version)) as stream:
        eventually(lambda: cluster.open_streams)
        cluster.fail_streams(410)

        assert [change["object"]["reason"] for change in stream] == ["Expired"]


def test_an_expired_token_is_refused(cluster: FakeCluster, client: OfficialClient) -> None:
    client.list()

    cluster.expire_token()
    with pytest.raises(ApiException) as refused:
        client.list()
    cluster.renew_token()

    assert refused.value.status == 401
    renewed = OfficialClient(cluster.kubeconfig)
    assert not renewed.list()["items"]
    renewed.close()


def test_an_unnoticed_event_is_only_in_the_list(cluster: FakeCluster, client: OfficialClient) -> None:
    with client.watch(resource_version=str(cluster.events.version)) as stream:
        cluster.put_unnoticed(event("unnoticed"))
        cluster.put(event("seen"))

        assert next(stream)["object"]["metadata"]["name"] == "seen"
    assert names(client.list()["items"]) == ["seen", "unnoticed"]


def test_a_restarted_cluster_has_the_same_address_and_events(cluster: FakeCluster, client: OfficialClient) -> None:
    cluster.put(event("kept"))
    with client.watch(resource_version=str(cluster.events.version)) as stream:
        eventually(lambda: cluster.open_streams)
        cluster.stop()
        with pytest.raises(HTTPError):
            next(stream)
    with pytest.raises(HTTPError):
        client.list()

    cluster.start()

    assert names(client.list()["items"]) == ["kept"]


def _send_request(client: OfficialClient, kind: RequestKind) -> None:
    if kind == "list":
        client.list()
    else:
        with client.watch():
            return
