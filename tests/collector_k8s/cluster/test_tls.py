"""A cluster behind TLS, as all real ones are."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector_k8s.cluster.client import ClusterClient, ClusterError
from collector_k8s.cluster.event_pages import list_pages
from collector_k8s.cluster.watch import Watch
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


def test_a_cluster_is_known_by_its_certificate(secure: FakeCluster, tmp_path: Path) -> None:
    secure.put(event("a"))
    asking = ClusterClient(KubernetesSettings(kubeconfig=secure.kubeconfig))
    assert sum(len(page.items or []) for page in list_pages(asking, "")) == 1

    document = json.loads(secure.kubeconfig.read_text())
    del document["clusters"][0]["cluster"]["certificate-authority"]
    secure.kubeconfig.write_text(json.dumps(document))
    with pytest.raises(ClusterError, match="certificate"):
        ClusterClient(KubernetesSettings(kubeconfig=secure.kubeconfig)).list_events("")


def test_who_waits_for_the_next_event_is_told_to_stop(secure: FakeCluster) -> None:
    asking = ClusterClient(KubernetesSettings(kubeconfig=secure.kubeconfig, bookmark_interval_s=600))
    (page,) = list_pages(asking, "")
    watch = Watch(asking, "", page.metadata.resource_version)
    heard, ended = threading.Event(), threading.Event()

    def listen() -> None:
        try:
            for _ in watch:
                heard.set()
        except ClusterError:
            pass
        watch.release()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    secure.put(event("a"))
    assert heard.wait(30)

    watch.close()

    assert ended.wait(30)
