"""The IP addresses that a task may connect to: public ones, and the networks that the operator allows."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from taskcore.plugins.network.special_purpose import GLOBAL_UNICAST, SPECIAL_IPV4, SPECIAL_IPV6

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


def parse_address(text: str) -> Address:
    """Return the address of a socket's host, without its zone (`fe80::1%eth0`)."""
    return ip_address(text.partition("%")[0])


def is_allowed(address: Address, allowed: Iterable[Network], denied: Iterable[Network] = ()) -> bool:
    """Return whether a task may connect to `address`.

    It must be public or in an allowed network, and in no denied one. So must the IPv4 addresses that it contains, to
    which a translator or a tunnel would connect.
    """
    inner = _embedded(address)
    reached = [address, *inner]
    if any(form in network for form in reached for network in denied):
        return False
    # An address with others inside is as public as they are.
    return all(is_public(form) or any(form in network for network in allowed) for form in inner or reached)


def is_public(address: Address) -> bool:
    """Return whether `address` belongs to the public internet, on any version of Python. False in case of doubt."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in SPECIAL_IPV4)
    return address in GLOBAL_UNICAST and not any(address in network for network in SPECIAL_IPV6)


def _embedded(address: Address) -> list[IPv4Address]:
    """Return the IPv4 addresses within an IPv4-mapped, 6to4, Teredo or NAT64 address."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [form for form in found if form is not None]
