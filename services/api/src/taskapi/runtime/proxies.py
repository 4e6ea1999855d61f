"""Which proxy a request goes through, by the variables of the environment. httpx raises for some of their values."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies_environment


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy for `url`, if there is one.

    `NO_PROXY` has hosts, domains, addresses and networks, such as `10.0.0.0/8,.svc,*.lan,fd00::/8,[::1]`, or `*` for
    all.
    """
    parts, proxies = urlsplit(url), getproxies_environment()
    direct = proxies.get("no", "").split(",")
    if any(_matches(entry.strip().lower(), parts.hostname or "") for entry in direct):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _matches(entry: str, host: str) -> bool:
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:  # one of them is a name
        return entry == "*" or (bool(entry) and f".{host}".endswith(f".{entry.lstrip('*.')}"))
