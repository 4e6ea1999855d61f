"""How strictly the certificates of an API server are checked."""

from __future__ import annotations

import ssl
from typing import Any

from kubernetes.client import ApiClient
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context


def set_strictness(client: ApiClient, is_strict: bool) -> None:
    """Let `client` accept certificates that break RFC 5280, unless `is_strict`.

    Chain, expiry and host name are always checked. Python 3.13 is strict by default; kubectl is not, and there are
    clusters whose authority lacks an extension that the RFC demands (kubernetes-client/python#2394).
    """
    pools = client.rest_client.pool_manager
    pool = _StrictPool if is_strict else _LenientPool
    pools.pool_classes_by_scheme = pools.pool_classes_by_scheme | {"https": pool}


class _Connection(HTTPSConnection):
    """Makes a context for each connection, so that a certificate file that has changed is read again."""

    is_strict = False

    def connect(self) -> None:
        self.ssl_context = self._new_context()
        super().connect()

    def _new_context(self) -> ssl.SSLContext:
        reqs: Any = self.cert_reqs
        context = create_urllib3_context(cert_reqs=reqs)
        if not (self.ca_certs or self.ca_cert_dir or self.ca_cert_data):
            context.load_default_certs()
        if self.is_strict:
            context.verify_flags |= ssl.VERIFY_X509_STRICT
        else:
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


class _StrictConnection(_Connection):
    is_strict = True


class _LenientPool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _StrictPool(HTTPSConnectionPool):
    ConnectionCls = _StrictConnection
