"""Which IP addresses a task may connect to: the public ones, and the networks that the operator allows."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")  # RFC 8215: where in it the IPv4 address stands is up to the network
SITE_LOCAL = IPv6Network("fec0::/10")  # RFC 3879, deprecated: `ipaddress` takes it for global


def parse_address(text: str) -> Address:
    """The address of a socket's host, which may carry a zone (`fe80::1%eth0`)."""
    return ip_address(text.partition("%")[0])


def is_allowed(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether a connection to `address` is fit: it, and whatever it stands for, is public or in an allowed network."""
    return all(is_public(form) or any(form in network for network in allowed) for form in _forms(address))


def is_public(address: Address) -> bool:
    """Whether `address` is that of a host on the public internet. False where there is doubt."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped or address in NAT64:  # as public as what is embedded
            return True
        if address in NAT64_LOCAL or address in SITE_LOCAL:
            return False
    # is_global leaves out loopback, private, link-local and carrier-grade NAT (100.64.0.0/10), but not multicast.
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _forms(address: Address) -> list[Address]:
    """`address`, and the IPv4 addresses that a translator or a tunnel would make of it."""
    if isinstance(address, IPv4Address):
        return [address]
    embedded = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        embedded.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [address, *(form for form in embedded if form is not None)]
