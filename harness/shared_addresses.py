"""How the workers of a parallel test run learn of the servers that they share."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

KEY = "taskcore_servers"


def shared_addresses(config: pytest.Config) -> Mapping[str, str]:
    """Return the addresses of the shared servers; empty when this process starts its own.

    `postgres` is the superuser's URL of a server that has the template database. `amqp` and `management` are those of
    RabbitMQ, unless the controller found none.
    """
    addresses: Mapping[str, str] = getattr(config, "workerinput", {}).get(KEY, {})
    return addresses
