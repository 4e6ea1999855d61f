"""The URL of a PostgreSQL database, as libpq, SQLAlchemy and people write it, becomes parameters for libpq.

Everything that connects passes these parameters, one keyword each: no URL is put together again, so no character needs
an escape, and libpq has no URL that it could quote in an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal
from urllib.parse import unquote

from psycopg.pq import Conninfo
from pydantic import AfterValidator, SecretStr

EXPECTED = "must be like postgresql://user:password@host:5432/database"
ESCAPE = "in its parts / ? # @ : % and spaces are percent-encoded"
DEFAULT_PORT = "5432"

#: The user name and password end at the first `@` that comes before any `/`, as libpq reads them.
_URL = re.compile(
    r"postgres(?:ql)?(?:\+\w+)?://"
    r"(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?"
    r"(?P<hosts>[^/?]*)(?:/(?P<dbname>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_HOST = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>\d*))?")
_IPV6 = re.compile(r"[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*(?:%\w+)?")

#: What libpq would refuse only when it connects.
_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "gssencmode": ("disable", "prefer", "require"),
    "channel_binding": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}


#: `transaction`: a pooler that may use another server connection for each transaction stands before the database.
Pooler = Literal["none", "transaction"]


def database_parameters(url: str) -> dict[str, str]:
    """Return the parameters of the database at `url`, by libpq's keywords.

    Several hosts may be written `//h1:1,h2:2/`, `?host=h1,h2&port=1,2` or `?host=h1:1&host=h2:2`. Everything is
    percent-decoded; a `+` is a plus.

    Raises:
        ValueError: the URL is invalid. The message quotes nothing that may be secret.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError(EXPECTED)
    parameters = {name: _decoded(found[name]) for name in ("user", "password", "dbname") if found[name]}
    query = _query(found["query"] or "")
    given = query.pop("host", None)
    hosts = _hosts(_decoded(found["hosts"]).split(",") if given is None else ",".join(given).split(","))
    parameters |= _host_parameters(hosts, ",".join(query.pop("port", [])))
    parameters |= {name: values[-1] for name, values in query.items()}
    _check(parameters)
    return parameters


def _query(text: str) -> dict[str, list[str]]:
    query: dict[str, list[str]] = {}
    for item in filter(None, text.split("&")):
        name, equals, value = item.partition("=")
        if not equals:
            raise ValueError(f"{EXPECTED}, with name=value after the question mark; {ESCAPE}")
        if (name, value) == ("ssl", "true"):  # libpq knows it from JDBC
            name, value = "sslmode", "require"
        query.setdefault(_decoded(name), []).append(_decoded(value))
    return query


def _hosts(written: Iterable[str]) -> list[tuple[str, str]]:
    """Return the name and the port of each host. Either may be empty."""
    return [_host(one) for one in written]


def _host(written: str) -> tuple[str, str]:
    if written.startswith("/") or _IPV6.fullmatch(written):
        return written, ""  # a directory of sockets, or an IPv6 address that is a parameter
    found = _HOST.fullmatch(written)
    if found is None or "@" in written:
        raise ValueError(f"{EXPECTED}; a port is a number, and {ESCAPE}")
    return found["host"].strip("[]"), found["port"] or ""


def _host_parameters(hosts: Sequence[tuple[str, str]], ports: str) -> dict[str, str]:
    own_ports = ",".join(port or DEFAULT_PORT for _, port in hosts) if any(port for _, port in hosts) else ""
    names = ",".join(name for name, _ in hosts)
    parameters = {"host": names, "port": ports or own_ports}
    numbers = parameters["port"].split(",") if parameters["port"] else []
    if any(not number.isdecimal() or not 0 < int(number) < 65536 for number in filter(None, numbers)):
        raise ValueError("its port must be a number from 1 to 65535")
    if len(numbers) not in (0, 1, len(hosts)):
        raise ValueError(f"it has {len(hosts)} hosts and {len(numbers)} ports")
    return {name: value for name, value in parameters.items() if value}


def _check(parameters: dict[str, str]) -> None:
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    for name, value in parameters.items():
        if name not in known:
            shown = name if re.fullmatch(r"[a-z_]{1,40}", name) else "which contains other characters than a to z"
            raise ValueError(f"libpq has no parameter {shown}")
        if "\0" in value:
            raise ValueError(f"its {name} contains a NUL character")
        if value not in _CHOICES.get(name, (value,)):
            raise ValueError(f"its {name} must be one of {', '.join(_CHOICES[name])}")


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("its percent-encoded characters must be UTF-8") from None


def _check_url(url: SecretStr) -> SecretStr:
    database_parameters(url.get_secret_value())
    return url


DatabaseUrl = Annotated[SecretStr, AfterValidator(_check_url)]
