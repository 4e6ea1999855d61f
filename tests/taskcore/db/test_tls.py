"""TLS with an authority of one's own, whose file is in a path with spaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from harness.postgres_cluster import PostgresCluster, debian_binaries, running_cluster
from harness.reaper import Reaper
from taskcore.db.connections import connect
from taskcore.db.engine import sync_engine

IS_ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def cluster(reaper: Reaper, authority: trustme.CA) -> Iterator[PostgresCluster]:
    with running_cluster(reaper, binaries=debian_binaries()) as cluster:  # the bundled build has no TLS
        certificate = authority.issue_cert("127.0.0.1")
        cluster.enable_tls(certificate.cert_chain_pems[0].bytes(), certificate.private_key_pem.bytes())
        yield cluster


def url_with(cluster: PostgresCluster, authority: trustme.CA, directory: Path) -> str:
    file = directory / "my own" / "ca.pem"
    file.parent.mkdir()
    authority.cert_pem.write_to_path(file)
    return f"{cluster.url}?sslmode=verify-full&sslrootcert={quote(str(file))}"


def test_every_connection_is_encrypted_and_verified(
    cluster: PostgresCluster, authority: trustme.CA, tmp_path: Path
) -> None:
    url = url_with(cluster, authority, tmp_path)
    engine = sync_engine(url, name="tests", pool_size=1)

    with engine.connect() as pooled, connect(url, name="tests") as listening:
        assert pooled.execute(text(IS_ENCRYPTED)).scalar_one() is True
        assert listening.execute(IS_ENCRYPTED).fetchone() == (True,)
    engine.dispose()


def test_a_server_of_another_authority_is_refused(cluster: PostgresCluster, tmp_path: Path) -> None:
    engine = sync_engine(url_with(cluster, trustme.CA(), tmp_path), name="tests", pool_size=1)

    with pytest.raises(OperationalError, match="certificate verify failed"):
        engine.connect()
    engine.dispose()
