"""A certificate authority for one test, and TLS contexts of servers with its certificates."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme


@dataclass(frozen=True)
class CertificateAuthority:
    ca_file: Path
    trust: trustme.CA

    def server_context(self, *names: str) -> ssl.SSLContext:
        """Return a TLS context for a server with these `names`."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.trust.issue_cert(*names).configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    trust = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    trust.cert_pem.write_to_path(str(ca_file))
    return CertificateAuthority(ca_file, trust)
