"""Which events are stored, and which task they are about."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from collector_k8s.cluster.client import ClusterClient
from collector_k8s.ingest.event_filter import EventFilter
from taskcore.settings import KubernetesSettings
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import event
from tests.collector_k8s.fakes.responses import Response, error_response


def raw(name: str, **fields: Any) -> msgspec.Raw:
    document = event(name, **fields)
    document["metadata"] |= {"uid": f"uid of {name}", "resourceVersion": "7"}
    return msgspec.Raw(json.dumps(document).encode())


def event_filter(cluster: FakeCluster, **kubernetes: Any) -> EventFilter:
    settings = KubernetesSettings(kubeconfig=cluster.kubeconfig, **kubernetes)
    return EventFilter(settings, ClusterClient(settings))


def task_ids(events: EventFilter, *raws: msgspec.Raw) -> list[int | None]:
    return [event.task_id for raw in raws for event in events.accept(raw)]


def test_other_reasons_than_the_configured_ones_are_dropped(cluster: FakeCluster) -> None:
    killing = event_filter(cluster, reasons=("Killing",))

    assert len(killing.accept(raw("a", reason="Killing"))) == 1
    assert killing.accept(raw("a", reason="Started")) == []
    assert len(event_filter(cluster).accept(raw("a", reason="Started"))) == 1


def test_a_malformed_event_is_dropped(cluster: FakeCluster) -> None:
    assert event_filter(cluster).accept(msgspec.Raw(b'{"metadata": {}}')) == []


def test_each_pod_is_looked_up_once(cluster: FakeCluster) -> None:
    cluster.label_pod("default", "web", **{"taskcore.io/task-id": "17"})
    events = event_filter(cluster, read_pods=True)

    found = task_ids(events, raw("web"), raw("web"), raw("gone"), raw("gone"))

    assert found == [17, 17, None, None]
    assert len(cluster.requests_of("other")) == 2


def test_the_events_own_label_takes_precedence(cluster: FakeCluster) -> None:
    events = event_filter(cluster, read_pods=True)

    assert task_ids(events, raw("web", labels={"taskcore.io/task-id": "4"})) == [4]
    assert not cluster.requests_of("other")


def test_pods_are_not_looked_up_by_default(cluster: FakeCluster) -> None:
    cluster.label_pod("default", "web", **{"taskcore.io/task-id": "17"})

    assert task_ids(event_filter(cluster), raw("web")) == [None]
    assert not cluster.requests_of("other")


def test_a_forbidden_pod_lookup_does_not_drop_events(cluster: FakeCluster) -> None:
    cluster.respond_next("other", error_response(403))
    events = event_filter(cluster, read_pods=True)

    assert task_ids(events, raw("web"), raw("api")) == [None, None]
    assert len(cluster.requests_of("other")) == 1  # the next lookup waits


def test_a_malformed_pod_does_not_drop_events(cluster: FakeCluster) -> None:
    cluster.respond_next("other", Response(200, ["not", "a", "pod"]))

    assert task_ids(event_filter(cluster, read_pods=True), raw("web")) == [None]


def test_a_container_that_was_killed_for_memory_makes_an_event(cluster: FakeCluster) -> None:
    """The cluster makes none: the kubelet writes it into the pod's status only."""
    cluster.kill_for_memory("default", "eater", "main", restarts=2)
    cluster.label_pod("default", "eater", **{"taskcore.io/task-id": "17"})

    kill, restart = event_filter(cluster, read_pods=True).accept(raw("eater", reason="BackOff", count=3))

    assert (restart.reason, restart.task_id) == ("BackOff", 17)
    assert (kill.reason, kill.type, kill.kind, kill.name, kill.task_id) == ("OOMKilled", "Warning", "Pod", "eater", 17)
    assert (kill.uid, kill.resource_version, kill.at.isoformat()) == (
        "uid-of-eater/main",
        "2",
        "2026-03-01T10:02:00+00:00",
    )
    assert kill.message == "Container main was killed for memory, with exit code 137"


def test_only_events_about_restarts_are_an_occasion_to_read_a_status(cluster: FakeCluster) -> None:
    cluster.kill_for_memory("default", "eater", "main", restarts=1)
    events = event_filter(cluster, read_pods=True)

    assert len(events.accept(raw("eater", reason="Started", count=1))) == 1
    assert len(events.accept(raw("eater", reason="Pulled", count=2))) == 1
    assert len(events.accept(raw("eater", reason="Started", count=2))) == 2
    assert len(event_filter(cluster).accept(raw("eater", reason="Started", count=2))) == 1


def test_the_pod_of_an_event_is_read_once(cluster: FakeCluster) -> None:
    cluster.kill_for_memory("default", "eater", "main", restarts=1)
    events = event_filter(cluster, read_pods=True, reasons=("OOMKilled",))

    found = [len(events.accept(raw("eater", reason="BackOff"))) for _ in range(3)]

    assert found == [1, 0, 0]
    assert len(cluster.requests_of("other")) == 2  # its status, and its label


def test_another_pod_of_the_same_name_was_not_killed(cluster: FakeCluster) -> None:
    cluster.kill_for_memory("default", "eater", "main", restarts=1)
    former = {"kind": "Pod", "namespace": "default", "name": "eater", "uid": "a former one"}

    found = event_filter(cluster, read_pods=True).accept(raw("eater", reason="BackOff", involvedObject=former))

    assert [one.reason for one in found] == ["BackOff"]


@pytest.mark.parametrize(
    ("response", "requests"),
    [
        (error_response(403), 1),  # the label is not asked for either
        (Response(200, ["not", "a", "pod"]), 2),
        (Response(200, b'{"metadata": {"uid": "\xff"}}'), 2),
    ],
    ids=["403", "malformed", "not UTF-8"],
)
def test_a_pod_that_cannot_be_read_drops_no_event(cluster: FakeCluster, response: Response, requests: int) -> None:
    cluster.respond_next("other", response, response)

    found = event_filter(cluster, read_pods=True).accept(raw("eater", reason="BackOff"))

    assert [one.reason for one in found] == ["BackOff"]
    assert len(cluster.requests_of("other")) == requests
