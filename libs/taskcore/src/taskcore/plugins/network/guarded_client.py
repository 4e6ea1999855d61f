"""An httpx client on the guarded network: no proxies, no environment variables, one deadline for everything."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpcore
import httpx
from opentelemetry.trace import Tracer

from taskcore.observability.tracing import http_spans
from taskcore.observability.tracing.client_spans import NO_TRACER
from taskcore.plugins.cancellation import CancellationToken
from taskcore.plugins.network.guarded_network import GuardedNetwork
from taskcore.plugins.network.sockets import SocketRegistry
from taskcore.settings import HttpSettings


def guarded_client(ssl_context: ssl.SSLContext, network: GuardedNetwork, tracer: Tracer = NO_TRACER) -> httpx.Client:
    """Return a client for one request and its redirects."""
    return httpx.Client(
        transport=GuardedTransport(ssl_context, network, tracer),
        timeout=None,  # the network has a deadline of its own
        trust_env=False,
    )


@contextmanager
def http_client(
    settings: HttpSettings, cancellation: CancellationToken, timeout_s: float | None, tracer: Tracer = NO_TRACER
) -> Iterator[httpx.Client]:
    """Open a client with the operator's settings. An interrupt closes its connections."""
    deadline = time.monotonic() + (timeout_s or settings.timeout_s)
    with SocketRegistry() as sockets, cancellation.on_interrupt(sockets.shutdown_all):
        network = GuardedNetwork(sockets, settings.allowed_networks, settings.denied_networks, deadline)
        with guarded_client(make_ssl_context(settings), network, tracer) as client:
            yield client


def make_ssl_context(settings: HttpSettings) -> ssl.SSLContext:
    """Return a context with the certificate authorities to trust."""
    if settings.ca_file is None:
        return httpx.create_ssl_context(trust_env=False)
    return ssl.create_default_context(cafile=settings.ca_file)


class GuardedTransport(httpx.BaseTransport):
    """Does what `httpx.HTTPTransport` does, which does not accept a network backend."""

    def __init__(
        self, ssl_context: ssl.SSLContext, network: httpcore.NetworkBackend, tracer: Tracer = NO_TRACER
    ) -> None:
        self._pool = httpcore.ConnectionPool(ssl_context=ssl_context, network_backend=network)
        self._tracer = tracer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with http_spans.request_span(self._tracer, request.method, str(request.url)) as span:
            response = self._pool.handle_request(_to_httpcore(request, http_spans.inject(span, request.headers.raw)))
            http_spans.set_status(span, response.status)
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response), extensions=response.extensions
        )

    def close(self) -> None:
        self._pool.close()


def _to_httpcore(request: httpx.Request, headers: http_spans.Headers) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=headers,
        content=request.stream,
        extensions=request.extensions,
    )


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()
