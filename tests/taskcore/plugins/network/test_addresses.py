"""The addresses that a task may connect to."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from taskcore.plugins.network.addresses import is_allowed, parse_address


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_public_address_is_allowed(address: str) -> None:
    assert is_allowed(parse_address(address), [])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.0.1",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "198.18.0.1",
        "192.0.2.1",
        "224.0.0.1",
        "239.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "ff0e::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:100.64.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "64:ff9b:1::808:808",
        "2002:7f00:1::1",
        "2002:a00:1::1",
        "2001:0:808:808::80ff:fffe",
    ],
)
def test_private_address_is_forbidden_in_every_form(address: str) -> None:
    assert not is_allowed(parse_address(address), [])


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.0.0.0/8"),
        ("::1", "::1/128"),
        ("fd12::1", "fd00::/8"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"),
        ("64:ff9b::a01:203", "10.0.0.0/8"),
    ],
)
def test_address_in_an_allowed_network_is_allowed(address: str, network: str) -> None:
    assert is_allowed(parse_address(address), [ip_network(network)])


def test_allowed_network_allows_no_other() -> None:
    assert not is_allowed(parse_address("10.1.2.3"), [ip_network("10.2.0.0/16"), ip_network("fd00::/8")])


def test_allowed_tunnel_does_not_allow_its_embedded_address() -> None:
    assert not is_allowed(parse_address("2002:7f00:1::1"), [ip_network("2002::/16")])
