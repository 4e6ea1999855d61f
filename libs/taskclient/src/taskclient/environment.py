"""Proxies and certificate authorities that the environment names, as curl reads them.

httpx reads them too, but it refuses to start for networks in NO_PROXY, or for a proxy that would not be used.
"""

from __future__ import annotations

import ssl
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.request import getproxies_environment

import httpx

from taskclient.errors import InvalidEnvironment

PROXY_SCHEMES = frozenset({"http", "https"})


def find_proxy(url: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy for requests to `url`, by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

    Raises:
        InvalidEnvironment: if it is no HTTP proxy.
    """
    variables = getproxies_environment()
    address = variables.get(url.scheme) or variables.get("all")
    if not address or is_excluded(url, variables.get("no", "")):
        return None
    try:
        proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
    except (ValueError, httpx.InvalidURL) as error:
        raise InvalidEnvironment(
            f"the environment's proxy for {url.scheme} is no address of a proxy: {error}"
        ) from error
    if proxy.url.scheme not in PROXY_SCHEMES:
        raise InvalidEnvironment(
            f"the environment's proxy for {url.scheme} is a {proxy.url.scheme} proxy; only HTTP proxies are supported: "
            f"set {url.scheme}_proxy, or NO_PROXY={url.host}"
        )
    return proxy


def find_authorities(url: httpx.URL) -> ssl.SSLContext | bool:
    """Return the certificate authorities for `url`, by SSL_CERT_FILE and SSL_CERT_DIR. None are read for plain HTTP.

    Raises:
        InvalidEnvironment: if they cannot be read.
    """
    if url.scheme != "https":
        return False
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise InvalidEnvironment(f"SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error.strerror or error}") from error


def is_excluded(url: httpx.URL, no_proxy: str) -> bool:
    """Return whether `no_proxy` names the host of `url`.

    It is a list of `*`, domains with their subdomains, addresses and networks. An entry may name a port.
    """
    return any(_matches(url, entry.strip().lower()) for entry in no_proxy.split(","))


def _matches(url: httpx.URL, entry: str) -> bool:
    if entry == "*":
        return True
    try:
        network = ip_network(entry.removeprefix("[").removesuffix("]"), strict=False)
    except ValueError:
        network = None
    if network is not None:
        return _is_in(url.host, network)
    host, _, port = entry.rpartition(":")
    if host and port.isdecimal():
        return int(port) == _port(url) and _matches(url, host)
    domain = entry.removeprefix("*").removeprefix(".")
    return bool(domain) and _is_domain(url.host) and f".{url.host.lower()}".endswith(f".{domain}")


def _is_in(host: str, network: IPv4Network | IPv6Network) -> bool:
    return not _is_domain(host) and ip_address(host) in network


def _is_domain(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)
