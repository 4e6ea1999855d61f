"""Settings of the HTTP API."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from taskcore.settings.field_types import Port, Section


class ApiSettings(Section):
    """The HTTP API. It has no authentication yet: a host other than loopback opens it to that network."""

    host: str = "127.0.0.1"
    """Address to listen on. `::` means all addresses, of IPv4 and IPv6."""
    port: Port = 8080
    """Port to listen on."""
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    """How many processes serve requests."""
    max_connections: Annotated[int, Field(ge=1, le=60_000)] = 10_000
    """How many connections a process serves at once; more wait. The limit of open files may lower it."""
    idle_timeout_s: Annotated[float, Field(ge=0.1, le=3_600)] = 65
    """How long a connection may take to send the headers of its next request. A load balancer should close idle
    connections sooner.
    """
    max_waiting: Annotated[int, Field(ge=0)] = 1_000
    """How many requests of a process may wait in `/tasks/{id}/wait` at once; more get a 503."""
    drain_s: Annotated[float, Field(ge=0, le=3_600)] = 5
    """How long the API still serves requests after SIGTERM, while `/readyz` already fails."""
