"""The addresses that a task may connect to."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from taskcore.plugins.network.addresses import Network, is_allowed, parse_address
from taskcore.settings.task_types import METADATA_ADDRESSES


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "168.63.129.16",
        "192.0.1.1",
        "223.255.255.255",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
        "2001:0:808:808::f7f7:f7f7",
    ],
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
        "192.0.0.8",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "198.51.100.1",
        "203.0.113.1",
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
        "100::1",
        "2001:1::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
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
        "2001:0:7f00:1::f7f7:f7f7",
        "::ffff:0:808:808",
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


@pytest.mark.parametrize("address", METADATA_ADDRESSES, ids=str)
def test_metadata_address_is_denied_even_in_an_allowed_network(address: Network) -> None:
    allowed = [ip_network("0.0.0.0/0"), ip_network("::/0")]

    assert is_allowed(address[0], allowed)
    assert not is_allowed(address[0], allowed, METADATA_ADDRESSES)


@pytest.mark.parametrize("address", ["::ffff:168.63.129.16", "64:ff9b::a83f:8110", "2002:a83f:8110::1"])
def test_denied_address_is_denied_in_every_form(address: str) -> None:
    assert not is_allowed(parse_address(address), [], METADATA_ADDRESSES)


def test_denied_form_is_denied_whatever_is_inside() -> None:
    assert not is_allowed(parse_address("64:ff9b::808:808"), [], [ip_network("64:ff9b::/96")])
