"""What the collector relies on: tests of the fake cluster, and of a real one when `KUBECONFIG` names it.

Each test creates its events in a namespace of its own, which is deleted afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from kubernetes.client import ApiException

from collector_k8s.cluster.client import TOO_LARGE_VERSION
from harness.waiting import eventually
from tests.collector_k8s.collector_thread import CollectorThread, StoredEvents, collector_settings, versions_of
from tests.collector_k8s.fakes.cluster import names, running_cluster
from tests.collector_k8s.fakes.event_json import CORE_V1, EVENTS_V1, Event, event
from tests.collector_k8s.fakes.official_client import OfficialClient

CLUSTERS = ["fake", *(["real"] if os.environ.get("KUBECONFIG") else [])]


@dataclass(frozen=True)
class EventNamespace:
    """A namespace of a cluster, and a client that reads its events in the API `group`."""

    kubeconfig: Path
    name: str
    group: str
    client: OfficialClient

    def create(self, *object_names: str, **fields: object) -> list[Event]:
        return [self.client.create(event(name, self.name, **fields)) for name in object_names]

    def start_collector(self, database_url: str) -> CollectorThread:
        settings = {"kubeconfig": self.kubeconfig, "namespaces": (self.name,), "api": self.group}
        return CollectorThread(collector_settings(database_url, **settings))


@pytest.fixture(params=CLUSTERS)
def kubeconfig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.param == "real":
        yield Path(os.environ["KUBECONFIG"])
    else:
        with running_cluster(tmp_path) as cluster:
            yield cluster.kubeconfig


@pytest.fixture(params=[CORE_V1, EVENTS_V1])
def namespace(kubeconfig: Path, request: pytest.FixtureRequest) -> Iterator[EventNamespace]:
    client = OfficialClient(kubeconfig, request.param)
    with temporary_namespace(client) as name:
        yield EventNamespace(kubeconfig, name, request.param, client)
    client.close()


@contextmanager
def temporary_namespace(client: OfficialClient) -> Iterator[str]:
    name = f"taskcore-test-{uuid4().hex[:12]}"
    client.core.create_namespace({"metadata": {"name": name}})
    try:
        yield name
    finally:
        client.core.delete_namespace(name)


def test_all_pages_of_a_list_have_one_version(namespace: EventNamespace) -> None:
    namespace.create("a", "b", "c")

    first = namespace.client.list(namespace.name, limit=2)
    namespace.create("d")
    second = namespace.client.list(namespace.name, limit=2, _continue=first["metadata"]["continue"])

    assert names([*first["items"], *second["items"]]) == ["a", "b", "c"]
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    assert not second["metadata"].get("continue")


def test_a_watch_from_a_list_delivers_the_changes_since_then(namespace: EventNamespace) -> None:
    version = namespace.client.list(namespace.name)["metadata"]["resourceVersion"]
    (created,) = namespace.create("a")
    replaced = namespace.client.replace(created | {"count": 2})
    namespace.client.delete(created)

    with namespace.client.watch(namespace.name, resource_version=version, timeout_seconds=20) as stream:
        changes = [next(stream) for _ in range(3)]

    assert [change["type"] for change in changes] == ["ADDED", "MODIFIED", "DELETED"]
    assert {change["object"]["metadata"]["uid"] for change in changes} == {created["metadata"]["uid"]}
    assert [change["object"]["metadata"]["resourceVersion"] for change in changes[:2]] == [
        created["metadata"]["resourceVersion"],
        replaced["metadata"]["resourceVersion"],
    ]
    versions = [int(change["object"]["metadata"]["resourceVersion"]) for change in changes]
    assert versions == sorted(set(versions))


def test_a_watch_ends_after_its_timeout(namespace: EventNamespace) -> None:
    version = namespace.client.list(namespace.name)["metadata"]["resourceVersion"]

    with namespace.client.watch(namespace.name, resource_version=version, timeout_seconds=1) as stream:
        changes = list(stream)

    assert all(change["type"] == "BOOKMARK" for change in changes)


def test_a_version_of_the_future_is_refused_in_a_list_and_silent_in_a_watch(namespace: EventNamespace) -> None:
    """A cluster that was restored from a backup is behind what was read from it."""
    future = str(int(namespace.client.list(namespace.name)["metadata"]["resourceVersion"]) + 1_000_000)

    with pytest.raises(ApiException) as refused:
        namespace.client.list(namespace.name, limit=1, resource_version=future, resource_version_match="NotOlderThan")
    namespace.create("a")
    with namespace.client.watch(namespace.name, resource_version=future, timeout_seconds=1) as stream:
        changes = list(stream)

    assert TOO_LARGE_VERSION in refused.value.body
    assert all(change["type"] == "BOOKMARK" for change in changes)


def test_a_field_selector_limits_the_list(namespace: EventNamespace) -> None:
    namespace.create("right", type="Warning")
    namespace.create("wrong")

    assert names(namespace.client.list(namespace.name, field_selector="type=Warning")["items"]) == ["right"]
    assert names(namespace.client.list(namespace.name, field_selector="type!=Warning")["items"]) == ["wrong"]
    with pytest.raises(ApiException) as refused:
        namespace.client.list(namespace.name, field_selector="colour=red")
    assert refused.value.status == 400


def test_both_groups_return_the_same_events_with_their_own_field_names(namespace: EventNamespace) -> None:
    (created,) = namespace.create("a", message="it says this")

    (listed,) = namespace.client.list(namespace.name)["items"]

    assert listed["metadata"]["uid"] == created["metadata"]["uid"]
    involved, message = ("involvedObject", "message") if namespace.group == CORE_V1 else ("regarding", "note")
    assert (listed[involved]["name"], listed[message]) == ("a", "it says this")
    assert "kind" not in listed


def test_the_collector_stores_listed_and_watched_events(namespace: EventNamespace, database_url: str) -> None:
    stored = StoredEvents(database_url)
    events = namespace.create("a", "b")
    collector = namespace.start_collector(database_url)
    eventually(lambda: stored.has_all(events))

    events += namespace.create("c")
    events.append(namespace.client.replace(events[0] | {"count": 5, "message": "again"}))
    namespace.client.delete(events[1])

    eventually(lambda: stored.has_all(events))
    collector.stop()
    assert stored.versions() == versions_of(events)
    current = stored.sql("SELECT name, count, message FROM k8s_event WHERE is_current ORDER BY name")
    assert [(row["name"], row["count"]) for row in current] == [("a", 5), ("b", 1), ("c", 1)]
    assert current[0]["message"] == "again"
