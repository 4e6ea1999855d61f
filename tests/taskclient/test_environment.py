"""Proxies of the environment, and the hosts that are excluded from them."""

from __future__ import annotations

import httpx
import pytest

from taskclient.client import Client
from taskclient.environment import find_proxy, is_excluded
from taskclient.errors import ApiError
from tests.taskclient.fake_task_server import FakeTaskServer


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("host", "no_proxy"),
    [
        ("tasks.example.com", "*"),
        ("tasks.example.com", "a, .example.com"),
        ("tasks.example.com", "example.com"),
        ("tasks.example.com", "*.example.com"),
        ("tasks.example.com", "TASKS.example.com"),
        ("tasks.example.com", "tasks.example.com:8080"),
        ("10.1.2.3", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3", "10.1.2.3:8080"),
        ("[fd00::7]", "fd00::/8"),
        ("[::1]", "[::1]"),
        ("[::1]", "::1"),
        ("[::1]", "[::1]:8080"),
        ("api.shop.svc", "10.0.0.0/8,.svc,fd00::/8"),
    ],
)
def test_host_is_excluded(host: str, no_proxy: str) -> None:
    assert is_excluded(httpx.URL(f"http://{host}:8080"), no_proxy)


@pytest.mark.parametrize(
    ("host", "no_proxy"),
    [
        ("tasks.example.com", ""),
        ("tasks.example.com", "ample.com"),
        ("tasks.example.com", "tasks.example.com:80"),
        ("tasks.example.com", "10.0.0.0/8,,[,300.1.1.1/8, :"),
        ("10.1.2.3", "11.0.0.0/8,fd00::/8,1.2.3"),
        ("[fe80::1]", "fd00::/8,10.0.0.0/8"),
    ],
)
def test_host_is_not_excluded(host: str, no_proxy: str) -> None:
    assert not is_excluded(httpx.URL(f"http://{host}:8080"), no_proxy)


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, "http://a", None),
        ({"http_proxy": "http://p:1"}, "http://a", "http://p:1"),
        ({"http_proxy": "p:1"}, "http://a", "http://p:1"),
        ({"http_proxy": "http://p:1"}, "https://a", None),
        ({"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "socks5://q"}, "https://a", "http://p:1"),
        ({"ALL_PROXY": "http://p:1"}, "https://a", "http://p:1"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "a"}, "https://a", None),
    ],
)
def test_proxy_is_that_of_the_scheme(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, proxy: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    found = find_proxy(httpx.URL(url))

    assert (found and str(found.url)) == proxy


def test_requests_go_through_the_proxy(server: FakeTaskServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.address)

    with Client("http://tasks.example.com") as client, pytest.raises(ApiError):
        client.queues()

    assert server.requests[0].headers["host"] == "tasks.example.com"
