"""The IP addresses that a task may connect to: public ones, and the networks that the operator allows."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")  # RFC 8215: each network chooses the position of the IPv4 address
SITE_LOCAL = IPv6Network("fec0::/10")  # RFC 3879, deprecated: `ipaddress` considers it global


def parse_address(text: str) -> Address:
    """Return the address of a socket's host, without its zone (`fe80::1%eth0`)."""
    return ip_address(text.partition("%")[0])


def is_allowed(address: Address, allowed: Iterable[Network]) -> bool:
    """Return whether `address`, and every address that it embeds, is public or in an allowed network."""
    return all(is_public(form) or any(form in network for network in allowed) for form in _forms(address))


def is_public(address: Address) -> bool:
    """Return whether `address` belongs to the public internet. False in case of doubt."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped or address in NAT64:  # as public as the IPv4 address, which `_forms` adds
            return True
        if address in NAT64_LOCAL or address in SITE_LOCAL:
            return False
    # is_global leaves out loopback, private, link-local and carrier-grade NAT (100.64.0.0/10), but not multicast.
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _forms(address: Address) -> list[Address]:
    """Return `address`, and the IPv4 addresses to which a translator or a tunnel would connect."""
    if isinstance(address, IPv4Address):
        return [address]
    embedded = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        embedded.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [address, *(form for form in embedded if form is not None)]
