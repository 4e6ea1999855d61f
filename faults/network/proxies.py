"""Proxies between individual processes and the servers, which a fault can interrupt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import make_url

from faults.network.proxy import Proxy
from faults.system.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies of one process, and the settings that make it use them."""

    postgres: Proxy
    rabbitmq: Proxy
    env: dict[str, str]


@contextmanager
def proxied(home: Sandbox, names: Sequence[str]) -> Iterator[dict[str, Proxies]]:
    """Yield proxies for the processes with these names."""
    proxies = {name: _lay(home) for name in names}
    try:
        yield proxies
    finally:
        for one in proxies.values():
            one.postgres.close()
            one.rabbitmq.close()


def _lay(home: Sandbox) -> Proxies:
    database = make_url(home.database_url)
    directory, port = str(database.query["host"]), database.query["port"]
    broker = urlsplit(home.virtual_host.amqp_url)
    postgres = Proxy(Path(directory) / f".s.PGSQL.{port}")
    rabbitmq = Proxy((broker.hostname or "", broker.port or 5672))
    local = database.set(host="127.0.0.1", port=postgres.port, query={"sslmode": "disable", "gssencmode": "disable"})
    user = f"{broker.username}:{broker.password}"
    env = {
        "TASKCORE_DATABASE_URL": local.render_as_string(hide_password=False),
        "TASKCORE_AMQP_URL": broker._replace(netloc=f"{user}@127.0.0.1:{rabbitmq.port}").geturl(),
    }
    return Proxies(postgres, rabbitmq, env)
