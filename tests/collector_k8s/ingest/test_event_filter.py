"""What is kept of that which a cluster gives, and which task it is about."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest

from collector_k8s.backoff import Backoff
from collector_k8s.cluster.client import ClusterClient, ClusterError, ResourceExpired, error_from_status
from collector_k8s.ingest.event_filter import EventFilter
from taskcore.settings import KubernetesSettings
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import event
from tests.collector_k8s.fakes.responses import Response
from tests.collector_k8s.fakes.responses import error_response as refused


def raw(name: str, **members: Any) -> msgspec.Raw:
    given = event(name, **members)
    given["metadata"] |= {"uid": f"uid of {name}", "resourceVersion": "7"}
    return msgspec.Raw(json.dumps(given).encode())


def intake(cluster: FakeCluster, **settings: Any) -> EventFilter:
    given = KubernetesSettings(kubeconfig=cluster.kubeconfig, **settings)
    return EventFilter(given, ClusterClient(given))


def task_ids(intake: EventFilter, *events: msgspec.Raw) -> list[int | None]:
    read = [intake.accept(one) for one in events]
    return [None if one is None else one.task_id for one in read]


def test_only_the_reasons_that_are_set_are_kept(cluster: FakeCluster) -> None:
    some = intake(cluster, reasons=("Killing",))

    assert some.accept(raw("a", reason="Killing")) is not None
    assert some.accept(raw("a", reason="Started")) is None
    assert intake(cluster).accept(raw("a", reason="Started")) is not None


def test_what_cannot_be_read_is_left_out(cluster: FakeCluster) -> None:
    assert intake(cluster).accept(msgspec.Raw(b'{"metadata": {}}')) is None


def test_a_pod_is_asked_for_its_task_once(cluster: FakeCluster) -> None:
    cluster.label_pod("default", "web", **{"taskcore.io/task-id": "17"})
    reading = intake(cluster, read_pods=True)

    found = task_ids(reading, raw("web"), raw("web"), raw("gone"), raw("gone"))

    assert found == [17, 17, None, None]
    assert len(cluster.requests_of("other")) == 2


def test_the_label_of_the_event_itself_comes_first(cluster: FakeCluster) -> None:
    reading = intake(cluster, read_pods=True)

    assert task_ids(reading, raw("web", labels={"taskcore.io/task-id": "4"})) == [4]
    assert not cluster.requests_of("other")


def test_pods_are_not_asked_for_unless_that_is_set(cluster: FakeCluster) -> None:
    cluster.label_pod("default", "web", **{"taskcore.io/task-id": "17"})

    assert task_ids(intake(cluster), raw("web")) == [None]
    assert not cluster.requests_of("other")


def test_who_may_not_read_pods_still_gets_the_events(cluster: FakeCluster) -> None:
    cluster.respond_next("other", refused(403))
    reading = intake(cluster, read_pods=True)

    assert task_ids(reading, raw("web"), raw("api")) == [None, None]
    assert len(cluster.requests_of("other")) == 1  # for a while it is not asked again


def test_a_pod_that_cannot_be_read_does_no_harm(cluster: FakeCluster) -> None:
    cluster.respond_next("other", Response(200, ["not", "a", "pod"]))

    assert task_ids(intake(cluster, read_pods=True), raw("web")) == [None]


def test_waits_grow_with_trouble_up_to_a_limit() -> None:
    backoff = Backoff(random.Random(1))

    waits = [backoff.next_s() for _ in range(12)]

    assert all(0.5 <= wait <= 30 for wait in waits)
    assert waits[0] < 1 < waits[5]
    assert waits[11] >= 15
    backoff.reset()
    assert backoff.next_s() < 1
    assert backoff.next_s(at_least_s=77) == 77


@pytest.mark.parametrize(
    ("status", "body", "is_expired"),
    [
        (410, "", True),
        (504, '{"message": "Timeout: Too large resource version: 9, current: 5"}', True),
        (504, '{"message": "Timeout"}', False),
        (None, "not JSON", False),
    ],
)
def test_what_says_that_we_have_to_list_again_is_told_from_the_rest(
    status: int | None, body: str, is_expired: bool
) -> None:
    assert isinstance(error_from_status(status, body), ResourceExpired) is is_expired


def test_a_refusal_says_when_to_ask_again(cluster: FakeCluster) -> None:
    cluster.respond_next("list", refused(429, "slow down", retry_after=7), refused(500))
    asking = ClusterClient(KubernetesSettings(kubeconfig=cluster.kubeconfig))

    with pytest.raises(ClusterError, match="slow down") as first:
        asking.list_events("")
    with pytest.raises(ClusterError) as second:
        asking.list_events("")

    assert (first.value.status, first.value.retry_after_s) == (429, 7)
    assert (second.value.status, second.value.retry_after_s) == (500, None)


def test_a_token_that_is_not_taken_any_more_is_read_again(cluster: FakeCluster) -> None:
    asking = ClusterClient(KubernetesSettings(kubeconfig=cluster.kubeconfig))
    asking.list_events("")
    cluster.renew_token()

    with pytest.raises(ClusterError, match="Unauthorized"):
        asking.list_events("")

    assert asking.list_events("")
