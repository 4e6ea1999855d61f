"""A cluster with TLS, as all real ones have."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector_k8s.cluster.client import ClusterClient, ClusterError
from collector_k8s.cluster.list_watch import Watch, list_pages
from taskcore.settings import KubernetesSettings
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import event
from tests.taskworker.types.certificates import CertificateAuthority, authority

__all__ = ["authority"]


@pytest.fixture
def secure(tmp_path: Path, authority: CertificateAuthority) -> Iterator[FakeCluster]:
    cluster = FakeCluster(tmp_path, bookmark_interval_s=None)
    document = json.loads(cluster.kubeconfig.read_text())
    document["clusters"][0]["cluster"] = {
        "server": cluster.url.replace("http://", "https://"),
        "certificate-authority": authority.ca_file.name,
    }
    cluster.kubeconfig.write_text(json.dumps(document))
    cluster.start(authority.server_context("127.0.0.1"))
    yield cluster
    cluster.stop()


def test_the_certificate_of_the_cluster_is_checked(secure: FakeCluster) -> None:
    secure.put(event("a"))
    client = ClusterClient(KubernetesSettings(kubeconfig=secure.kubeconfig))
    assert sum(len(page.items or []) for page in list_pages(client, "")) == 1

    document = json.loads(secure.kubeconfig.read_text())
    del document["clusters"][0]["cluster"]["certificate-authority"]
    secure.kubeconfig.write_text(json.dumps(document))
    with pytest.raises(ClusterError, match="certificate"):
        ClusterClient(KubernetesSettings(kubeconfig=secure.kubeconfig)).list_events("")


def test_a_watch_can_be_interrupted_while_it_waits(secure: FakeCluster) -> None:
    client = ClusterClient(KubernetesSettings(kubeconfig=secure.kubeconfig, bookmark_interval_s=600))
    (page,) = list_pages(client, "")
    watch = Watch(client, "", page.metadata.resource_version)
    received, ended = threading.Event(), threading.Event()

    def read() -> None:
        try:
            for _ in watch:
                received.set()
        except ClusterError:
            pass
        watch.close()
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    secure.put(event("a"))
    assert received.wait(30)

    watch.interrupt()

    assert ended.wait(30)
