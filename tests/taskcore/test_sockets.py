"""Listening on IPv4 and IPv6, and the URLs of what listens there."""

from __future__ import annotations

import socket

import pytest

from taskcore.errors import TaskcoreError
from taskcore.sockets import authority, listen, local_url


@pytest.mark.parametrize(
    ("host", "reachable"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("0.0.0.0", ["127.0.0.1"]),
        ("::1", ["::1"]),
        ("::", ["::1", "127.0.0.1"]),
        ("localhost", ["localhost"]),
    ],
)
def test_clients_of_each_family_connect(host: str, reachable: list[str]) -> None:
    with listen(host, 0, "api") as listener:
        port = listener.getsockname()[1]
        for address in reachable:
            socket.create_connection((address, port), timeout=30).close()


def test_a_port_is_shared_only_on_purpose() -> None:
    with listen("127.0.0.1", 0, "api", is_shared=True) as first:
        port = first.getsockname()[1]
        with pytest.raises(TaskcoreError, match="Address already in use"):
            listen("127.0.0.1", port, "api")
        listen("127.0.0.1", port, "api", is_shared=True).close()


@pytest.mark.parametrize(
    ("host", "named"),
    [("::2", r"\[::2\]:8080: .*TASKCORE_API__HOST"), ("no.such.host.invalid", r"no\.such\.host\.invalid:8080: ")],
)
def test_an_address_that_is_not_of_this_machine_is_named(host: str, named: str) -> None:
    with pytest.raises(TaskcoreError, match=named):
        listen(host, 8080, "api")


def test_ipv6_addresses_are_in_brackets() -> None:
    assert authority("::1", 80) == "[::1]:80"
    assert local_url("::1", 8080) == "http://[::1]:8080"
    assert [local_url(host, 1) for host in ("::", "0.0.0.0")] == ["http://127.0.0.1:1"] * 2
    assert local_url("api.example.com", 80) == "http://api.example.com:80"
