"""Which events are stored, and which task they are about."""

from __future__ import annotations

import json
from typing import Any

import msgspec

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
    accepted = [events.accept(raw) for raw in raws]
    return [event.task_id if event is not None else None for event in accepted]


def test_other_reasons_than_the_configured_ones_are_dropped(cluster: FakeCluster) -> None:
    killing = event_filter(cluster, reasons=("Killing",))

    assert killing.accept(raw("a", reason="Killing")) is not None
    assert killing.accept(raw("a", reason="Started")) is None
    assert event_filter(cluster).accept(raw("a", reason="Started")) is not None


def test_a_malformed_event_is_dropped(cluster: FakeCluster) -> None:
    assert event_filter(cluster).accept(msgspec.Raw(b'{"metadata": {}}')) is None


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
