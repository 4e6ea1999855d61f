"""The errors of the API server, and the renewal of credentials."""

from __future__ import annotations

import msgspec
import pytest

from collector_k8s.cluster.client import ClusterClient, ClusterError, ResourceExpired, error_from_status
from collector_k8s.cluster.list_watch import resource_version_of
from taskcore.settings import KubernetesSettings
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.responses import error_response


@pytest.mark.parametrize(
    ("status", "body", "is_expired"),
    [
        (410, "", True),
        (504, '{"message": "Timeout: Too large resource version: 9, current: 5"}', True),
        (504, '{"message": "Timeout"}', False),
        (None, "not JSON", False),
    ],
)
def test_expired_versions_are_recognized(status: int | None, body: str, is_expired: bool) -> None:
    assert isinstance(error_from_status(status, body), ResourceExpired) is is_expired


def test_an_error_has_the_status_and_the_wait_that_the_server_asked_for(cluster: FakeCluster) -> None:
    cluster.respond_next("list", error_response(429, "slow down", retry_after=7), error_response(500))
    client = ClusterClient(KubernetesSettings(kubeconfig=cluster.kubeconfig))

    with pytest.raises(ClusterError, match="slow down") as first:
        client.list_events("")
    with pytest.raises(ClusterError) as second:
        client.list_events("")

    assert (first.value.status, first.value.retry_after_s) == (429, 7)
    assert (second.value.status, second.value.retry_after_s) == (500, None)


@pytest.mark.parametrize(
    ("document", "version"),
    [
        ('{"metadata": {"resourceVersion": "17"}}', "17"),
        ('{"metadata": {"resourceVersion": "\\u0000"}}', ""),
        ('{"metadata": {"resourceVersion": "\\ud800"}}', ""),
        ('{"metadata": {"resourceVersion": 17}}', ""),
        ("{}", ""),
    ],
)
def test_an_object_without_a_usable_version_does_not_move_the_position(document: str, version: str) -> None:
    assert resource_version_of(msgspec.Raw(document.encode())) == version


def test_credentials_are_reloaded_after_a_401(cluster: FakeCluster) -> None:
    client = ClusterClient(KubernetesSettings(kubeconfig=cluster.kubeconfig))
    client.list_events("")
    cluster.renew_token()

    with pytest.raises(ClusterError, match="Unauthorized"):
        client.list_events("")

    assert client.list_events("")
