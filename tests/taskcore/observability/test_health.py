"""The health server: what it serves, on which addresses, and that no client can keep it from answering."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge

from harness.ports import free_port
from harness.waiting import eventually
from taskcore.errors import TaskcoreError
from taskcore.observability import bounded_http_server
from taskcore.observability.health import HealthServer
from taskcore.settings import HealthSettings


def health_on(host: str, is_live: bool = True) -> HealthServer:
    registry = CollectorRegistry()
    Gauge("answer", "of everything", registry=registry).set(42)
    settings = HealthSettings(host=host, port=free_port())
    return HealthServer(settings, registry, lambda: False, lambda: {"why": "asleep"}, is_live=lambda: is_live)


@pytest.fixture
def health() -> Iterator[HealthServer]:
    server = health_on("127.0.0.1")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(health: HealthServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{health.settings.port}", trust_env=False) as client:
        yield client


def connect(health: HealthServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", health.settings.port), timeout=30)


def test_it_says_whether_the_process_is_live_and_ready(client: httpx.Client) -> None:
    assert client.get("/livez").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()) == (503, {"status": "not ready", "why": "asleep"})
    assert client.get("/healthcheck").json()["uptime"] > 0
    assert "answer 42.0" in client.get("/metrics").text
    assert client.get("/nothing").status_code == 404


def test_livez_fails_when_the_process_hangs() -> None:
    assert health_on("127.0.0.1", is_live=False).respond("/livez")[0] == 503


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthcheck", "/metrics", "/nothing"])
def test_head_returns_what_get_returns_without_the_body(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)

    assert head.content == b""
    assert head.status_code == get.status_code
    assert head.headers["content-type"] == get.headers["content-type"]
    assert int(head.headers["content-length"]) > 0
    assert client.options(path).headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("host", "addresses"),
    [("::1", ["[::1]"]), ("::", ["[::1]", "127.0.0.1"]), ("0.0.0.0", ["127.0.0.1"]), ("localhost", ["localhost"])],
)
def test_it_listens_on_addresses_of_both_families(host: str, addresses: list[str]) -> None:
    server = health_on(host)
    server.start()

    for address in addresses:
        assert httpx.get(f"http://{address}:{server.settings.port}/livez", trust_env=False).is_success
    server.stop()


def test_an_address_that_cannot_be_listened_on_is_named_with_its_settings(health: HealthServer) -> None:
    second = HealthServer(health.settings, CollectorRegistry(), lambda: True)

    with pytest.raises(TaskcoreError, match=rf"127\.0\.0\.1:{health.settings.port}: .*TASKCORE_HEALTH__PORT"):
        second.start()


def test_silent_connections_do_not_keep_it_from_answering(health: HealthServer, client: httpx.Client) -> None:
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connect(health))

        assert client.get("/livez").is_success
        assert client.get("/metrics").is_success
        eventually(lambda: handler_threads() <= bounded_http_server.MAX_CONNECTIONS)


def test_a_connection_that_sends_its_request_too_slowly_is_closed() -> None:
    settings = HealthSettings(port=free_port())
    health = HealthServer(settings, CollectorRegistry(), lambda: True, connection_s=0.3)
    health.start()

    with connect(health) as slow:
        slow.settimeout(0.05)
        slow.sendall(b"GET /livez HTTP/1.1\r\nX: ")
        eventually(lambda: is_closed(slow))
    health.stop()


def is_closed(connection: socket.socket) -> bool:
    """Send one more byte; return whether the server has closed the connection."""
    try:
        connection.sendall(b"x")
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def handler_threads() -> int:
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())
