"""A cluster with TLS, as all real ones have."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from collector_k8s.cluster.client import ClusterClient, ClusterError
from collector_k8s.cluster.list_watch import Watch, list_pages
from taskcore.settings import KubernetesSettings
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import event
from tests.taskworker.types.certificates import CertificateAuthority, authority

__all__ = ["authority"]


@pytest.fixture
def secure(tmp_path: Path, authority: CertificateAuthority) -> Iterator[FakeCluster]:
    """A cluster whose API server demands a certificate of its clients."""
    cluster = FakeCluster(tmp_path, bookmark_interval_s=None)
    certificate = authority.trust.issue_cert("collector@example.com")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
    document = json.loads(cluster.kubeconfig.read_text())
    document["clusters"][0]["cluster"] = {
        "server": cluster.url.replace("http://", "https://"),
        "certificate-authority": authority.ca_file.name,
    }
    document["users"][0]["user"] |= {"client-certificate": "client.pem", "client-key": "client.pem"}
    cluster.kubeconfig.write_text(json.dumps(document))
    context = authority.server_context("127.0.0.1")
    authority.trust.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    cluster.start(context)
    yield cluster
    cluster.stop()


def without_key_usage(authority: CertificateAuthority) -> bytes:
    """Return the authority's certificate without an extension that RFC 5280 demands."""
    certificate = x509.load_pem_x509_certificate(authority.trust.cert_pem.bytes())
    key = serialization.load_pem_private_key(authority.trust.private_key_pem.bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    builder = x509.CertificateBuilder(certificate.issuer, certificate.subject, certificate.public_key(), 1)
    builder = builder.not_valid_before(certificate.not_valid_before_utc)
    builder = builder.not_valid_after(certificate.not_valid_after_utc)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_the_certificate_of_the_cluster_is_checked(secure: FakeCluster) -> None:
    secure.put(event("a"))
    client = ClusterClient(KubernetesSettings(kubeconfig=secure.kubeconfig))
    assert sum(len(page.items or []) for page in list_pages(client, "")) == 1

    document = json.loads(secure.kubeconfig.read_text())
    del document["clusters"][0]["cluster"]["certificate-authority"]
    secure.kubeconfig.write_text(json.dumps(document))
    with pytest.raises(ClusterError, match="certificate"):
        ClusterClient(KubernetesSettings(kubeconfig=secure.kubeconfig)).list_events("")


def test_an_authority_that_breaks_the_rfc_is_accepted_unless_certificates_must_be_strict(
    secure: FakeCluster, authority: CertificateAuthority
) -> None:
    authority.ca_file.write_bytes(without_key_usage(authority))

    assert ClusterClient(KubernetesSettings(kubeconfig=secure.kubeconfig)).list_events("")
    strict = ClusterClient(KubernetesSettings(kubeconfig=secure.kubeconfig, strict_certificates=True))
    with pytest.raises(ClusterError, match="certificate verify failed"):
        strict.list_events("")


def test_a_changed_authority_is_read_again(secure: FakeCluster, authority: CertificateAuthority) -> None:
    client = ClusterClient(KubernetesSettings(kubeconfig=secure.kubeconfig))
    trust = authority.ca_file.read_bytes()
    authority.ca_file.write_bytes(trustme.CA().cert_pem.bytes())
    with pytest.raises(ClusterError, match="certificate verify failed"):
        client.list_events("")

    authority.ca_file.write_bytes(trust)

    assert client.list_events("")


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
