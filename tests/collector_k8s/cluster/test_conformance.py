"""What the collector relies on, of the fake cluster and, where `KUBECONFIG` names one, of a real cluster.

There the events are made in a namespace of their own, which is deleted afterwards.
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

from harness.waiting import eventually
from tests.collector_k8s.collector_thread import CollectorThread, StoredEvents, versions_of
from tests.collector_k8s.fakes.cluster import names, running_cluster
from tests.collector_k8s.fakes.event_json import CORE_V1, EVENTS_V1, Event, event
from tests.collector_k8s.fakes.official_client import OfficialClient

CLUSTERS = ["fake", *(["real"] if os.environ.get("KUBECONFIG") else [])]


@dataclass(frozen=True)
class Place:
    """A namespace of a cluster. `make` makes events there, `asker` reads them in one of the groups."""

    kubeconfig: Path
    namespace: str
    group: str
    asker: OfficialClient

    def make(self, *made: str, **fields: object) -> list[Event]:
        return [self.asker.create(event(name, self.namespace, **fields)) for name in made]

    def collect(self, database_url: str) -> CollectorThread:
        return CollectorThread(database_url, kubeconfig=self.kubeconfig, namespaces=(self.namespace,), api=self.group)


@pytest.fixture(params=CLUSTERS)
def kubeconfig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.param == "real":
        yield Path(os.environ["KUBECONFIG"])
    else:
        with running_cluster(tmp_path) as cluster:
            yield cluster.kubeconfig


@pytest.fixture(params=[CORE_V1, EVENTS_V1])
def place(kubeconfig: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    asker = OfficialClient(kubeconfig, request.param)
    with own_namespace(asker) as namespace:
        yield Place(kubeconfig, namespace, request.param, asker)
    asker.close()


@contextmanager
def own_namespace(asker: OfficialClient) -> Iterator[str]:
    name = f"taskcore-test-{uuid4().hex[:12]}"
    asker.core.create_namespace({"metadata": {"name": name}})
    try:
        yield name
    finally:
        asker.core.delete_namespace(name)


def test_a_list_has_pages_of_one_version(place: Place) -> None:
    place.make("a", "b", "c")

    first = place.asker.list(place.namespace, limit=2)
    place.make("d")
    second = place.asker.list(place.namespace, limit=2, _continue=first["metadata"]["continue"])

    assert names([*first["items"], *second["items"]]) == ["a", "b", "c"]
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    assert not second["metadata"].get("continue")


def test_a_watch_from_the_version_of_a_list_tells_what_happened_since(place: Place) -> None:
    version = place.asker.list(place.namespace)["metadata"]["resourceVersion"]
    (made,) = place.make("a")
    replaced = place.asker.replace(made | {"count": 2})
    place.asker.delete(made)

    with place.asker.watch(place.namespace, resource_version=version, timeout_seconds=20) as stream:
        told = [next(stream) for _ in range(3)]

    assert [change["type"] for change in told] == ["ADDED", "MODIFIED", "DELETED"]
    assert {change["object"]["metadata"]["uid"] for change in told} == {made["metadata"]["uid"]}
    assert [change["object"]["metadata"]["resourceVersion"] for change in told[:2]] == [
        made["metadata"]["resourceVersion"],
        replaced["metadata"]["resourceVersion"],
    ]
    versions = [int(change["object"]["metadata"]["resourceVersion"]) for change in told]
    assert versions == sorted(set(versions))


def test_a_watch_ends_in_order_at_its_time(place: Place) -> None:
    version = place.asker.list(place.namespace)["metadata"]["resourceVersion"]

    with place.asker.watch(place.namespace, resource_version=version, timeout_seconds=1) as stream:
        told = list(stream)

    assert all(change["type"] == "BOOKMARK" for change in told)


def test_fields_select(place: Place) -> None:
    place.make("right", type="Warning")
    place.make("wrong")

    assert names(place.asker.list(place.namespace, field_selector="type=Warning")["items"]) == ["right"]
    assert names(place.asker.list(place.namespace, field_selector="type!=Warning")["items"]) == ["wrong"]
    with pytest.raises(ApiException) as refused:
        place.asker.list(place.namespace, field_selector="colour=red")
    assert refused.value.status == 400


def test_both_groups_have_the_same_events_in_their_own_shape(place: Place) -> None:
    (made,) = place.make("a", message="it says this")

    (listed,) = place.asker.list(place.namespace)["items"]

    assert listed["metadata"]["uid"] == made["metadata"]["uid"]
    about, text = ("involvedObject", "message") if place.group == CORE_V1 else ("regarding", "note")
    assert (listed[about]["name"], listed[text]) == ("a", "it says this")
    assert "kind" not in listed


def test_the_collector_stores_what_is_there_and_what_happens(place: Place, database_url: str) -> None:
    collected = StoredEvents(database_url)
    events = place.make("a", "b")
    collecting = place.collect(database_url)
    eventually(lambda: collected.has_all(events))

    events += place.make("c")
    events.append(place.asker.replace(events[0] | {"count": 5, "message": "again"}))
    place.asker.delete(events[1])

    eventually(lambda: collected.has_all(events))
    collecting.stop()
    assert collected.versions() == versions_of(events)
    current = collected.sql("SELECT name, count, message FROM k8s_event WHERE is_current ORDER BY name")
    assert [(row["name"], row["count"]) for row in current] == [("a", 5), ("b", 1), ("c", 1)]
    assert current[0]["message"] == "again"
